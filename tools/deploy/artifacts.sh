#!/usr/bin/env bash
# Writes training artifacts alone and has the scripts beside them train a few
# steps on the stock ONNX Runtime, in Python and in Node, without Go. The loss
# must fall to less than half, and several steps in one run must give the very
# numbers of as many runs of one.
#
#   tools/deploy/artifacts.sh
#
# Needs tools/parity/setup.sh (PYTHON names another Python with onnxruntime and
# numpy) and tools/deploy/setup.sh (NODE_MODULES names another folder that holds
# onnxruntime-node).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-.venv/bin/python}
modules=$(realpath "${NODE_MODULES:-tools/deploy/node_modules}")
[ -x "$python" ] || { echo "artifacts: no $python: run tools/parity/setup.sh" >&2; exit 1; }
[ -d "$modules/onnxruntime-node" ] || { echo "artifacts: no onnxruntime-node in $modules: run tools/deploy/setup.sh" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ln -s "$modules" "$out/node_modules"

make --no-print-directory build >/dev/null
falls() {
	tee "$out/$2.log" | sed -n "s|^|$1: |; /step 1 \|step 10 \|step 25 \|evaluation/p"
	awk '$3 == "loss" { last = $4; if (!first) first = $4 } END { exit !(last < first / 2) }' "$out/$2.log" ||
		{ echo "artifacts: $1: the loss does not fall" >&2; exit 1; }
}
train() {
	rm -rf "$out/set"
	bin/ortrain artifacts --classes 5 --input 3x24x24 --batch 32 --out "$out/set" "${@:2}" >/dev/null
	# The document's own scripts, cut out of it, are what runs.
	sed -n '/^```python$/,/^```$/{/^```/!p}' "$out/set/ARTIFACTS.md" | cmp - "$out/set/train_steps.py"
	sed -n '/^```js$/,/^```$/{/^```/!p}' "$out/set/ARTIFACTS.md" | cmp - "$out/set/train_steps.mjs"
	"$python" "$out/set/train_steps.py" 25 | falls "$1, Python" python
	node "$out/set/train_steps.mjs" 25 | falls "$1, Node" node
}
# several trains with four steps in a run and compares with the training before.
several() {
	for language in python node; do mv "$out/$language.log" "$out/$language.single"; done
	train "$@" --set steps_per_run=4
	for language in python node; do
		grep -v 'of the average' "$out/$language.log" | cmp - "$out/$language.single" ||
			{ echo "artifacts: $1, $language: four steps in a run are not four runs of one" >&2; exit 1; }
	done
}
train 'resnet8 with sgd' --model resnet8
several 'resnet8, four steps in a run' --model resnet8
several 'resnet8, four steps in a run, guarded and averaged' --model resnet8 --set non_finite=skip --set average=ema
train 'resnet8, a batch in two parts' --model resnet8 --set accumulate=2
train 'wrn10_1 with dropout and adamw' --model wrn10_1 --set optimizer.name=adamw --set model.options.dropout=0.3 --lr 0.003
train 'resnet8 in mixed precision' --model resnet8 --set precision=mixed
several 'resnet8 in mixed precision, four steps in a run' --model resnet8 --set precision=mixed
echo 'all is well'
