#!/bin/sh
# placement.sh SITE MODEL.onnx ...: where ONNX Runtime puts the nodes of models
# under its CUDA provider, on a machine without a GPU; see list.sh for SITE.
set -eu
site=${1:?usage: placement.sh SITE MODEL.onnx ...}
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$here/standin.sh" "$site/onnxruntime/capi/libonnxruntime_providers_cuda.so" "$dir"
LD_LIBRARY_PATH="$dir" PYTHONPATH="$site" "${PYTHON:-$root/.venv/bin/python}" "$here/placement.py" "$@"
