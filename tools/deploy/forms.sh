#!/usr/bin/env bash
# Exports a run in every form and checks each: with ortrain verify against the
# run's evaluation graph, and with onnx.checker and ONNX Runtime's Python package
# against the run's model. Then runs the Python of a model card as it is written.
#
#   tools/deploy/forms.sh RUN [IMAGE…]
#
# RUN is a run folder whose images are where it was trained; IMAGEs are
# photographs of any size. Needs tools/parity/setup.sh. PYTHON names another one.
set -euo pipefail
run=$(realpath "${1:?usage: tools/deploy/forms.sh RUN [IMAGE…]}")
shift
images=()
for i in "$@"; do images+=("$(realpath "$i")"); done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
[ -x "$python" ] || { echo "forms: no $python: run tools/parity/setup.sh, or name one with PYTHON" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

make --no-print-directory build >/dev/null
export_as() {
	bin/ortrain export --run "$run" --out "$out/$1.onnx" --no-measure "${@:2}" >/dev/null
	bin/ortrain verify "$out/$1.onnx" | tail -1 | sed "s|^|$1: |"
}
cp "$run/model.onnx" "$out/reference.onnx"
export_as unfolded --unfolded
export_as float32
export_as softmax --softmax
export_as top3 --top-k 3
export_as softmax-top3 --softmax --top-k 3
export_as pixels --preprocess
export_as pixels-softmax-top3 --preprocess --softmax --top-k 3 --card "$out/card.md"
export_as float16 --float16
export_as float16-ports --float16 --float16-ports
export_as float16-weights --float16-weights
export_as float16-pixels --float16 --preprocess
export_as int8 --int8
export_as int8-pixels-softmax --int8 --preprocess --softmax
export_as int8-kept --int8 --calibration entropy --keep-float first,last
"$python" tools/deploy/forms.py "$out" "${images[@]}"

if [ ${#images[@]} -gt 0 ]; then
	sed -n '/^```python$/,/^```$/{/^```/!p}' "$out/card.md" >"$out/card.py"
	(cd "$out" && "$python" card.py "${images[0]}") | sed 's/^/the card says: /'
	bin/ortrain predict --onnx "$out/pixels-softmax-top3.onnx" "${images[0]}"
fi
