#!/usr/bin/env bash
# Uses exported models as their users do: trains a small classifier, exports it
# in every form, and has ONNX Runtime's Python and Node packages run each file
# on real images, comparing with Go's outputs (float32 within 1e-4); then drops
# images on the web page of two of them in headless Chromium.
#
#   tools/deploy/check.sh OUT [IMAGE…]   # OUT: folder for models and screenshots
#   tools/deploy/check.sh --web OUT …    # the web page only
#
# Needs npm (tools/deploy/setup.sh), .venv (tools/parity/setup.sh) and, for the
# page, Chromium (CHROMIUM=/path, default /usr/bin/chromium).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
web_only=
if [ "${1:-}" = --web ]; then web_only=1; shift; fi
[ $# -ge 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1; shift
mkdir -p "$out"; out=$(cd "$out" && pwd)
images=("$@")
[ $# -gt 0 ] || images=("$root"/testdata/decode/*.png "$root"/testdata/decode/{large_420,baseline_444,grey}.jpg)
ortrain=$root/bin/ortrain
python=$root/.venv/bin/python
[ -d "$here/node_modules/onnxruntime-web" ] || "$here/setup.sh"

if [ ! -f "$out/run/model.onnx" ]; then
	rm -rf "$out/run"
	"$ortrain" train --data mnist --model resnet8 --epochs 1 --limit 640 --seed 1 --out "$out/run" >"$out/train.log" 2>&1 ||
		{ cat "$out/train.log" >&2; exit 1; }
fi

# form NAME TOLERANCE [FLAG…]: export and compare. The tolerance of float16 is
# what one rounding of a logit of some ten units moves.
form() {
	local name=$1 tolerance=$2; shift 2
	echo "$name:"
	"$ortrain" export --run "$out/run" --out "$out/$name.onnx" "$@" >"$out/$name.log" 2>&1 ||
		{ cat "$out/$name.log" >&2; exit 1; }
	[ -n "$web_only" ] && return
	(cd "$root" && go run ./tools/deploy/reference "$out/$name.json" "$out/$name.onnx" "${images[@]}")
	"$python" "$here/check.py" "$out/$name.json" "$tolerance"
	node "$here/check.mjs" "$out/$name.json" "$tolerance"
}

# page NAME [FLAG]: the web page of an exported model.
page() {
	"$ortrain" web --onnx "$out/$1.onnx" --out "$out/site-$1" --ort-web "$here" >/dev/null 2>&1
	node "$here/browser.mjs" "$ortrain" "$out/site-$1" "$out/$1.onnx" "$out/page-$1.png" ${2:-} "${images[@]: -3}"
}

form float32 1e-4
form pixels-softmax 1e-4 --preprocess --softmax
if [ -z "$web_only" ]; then
	form top3 1e-4 --softmax --top-k 3
	form float16 1e-2 --float16 --no-measure
	form float16-ports 1e-2 --float16 --float16-ports --no-measure
	form float16-weights 1e-4 --float16-weights --no-measure
	form int8 1e-4 --int8 --no-measure --calibration-images 64
fi
page float32
page pixels-softmax --dark
echo "all is well; screenshots and models are in $out"
