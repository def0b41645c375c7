#!/bin/sh
# list.sh SITE: writes graphs/kernels/cuda.tsv anew, the kernels of the CUDA
# provider, read out of the library itself. SITE is a folder that holds ONNX
# Runtime for Python with CUDA, and nothing else needs it:
#
#   .venv/bin/python -m pip install --no-deps --target SITE onnxruntime-gpu==1.30.0
#
# No GPU and no CUDA is needed: stand-ins take the place of their libraries.
# The provider for TensorRT in SITE is replaced by a stand-in as well.
set -eu
site=${1:?usage: list.sh SITE}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
capi=$(cd "$site/onnxruntime/capi" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$here/standin.sh" "$capi/libonnxruntime_providers_cuda.so" "$dir"
rm -f "$capi/libonnxruntime_providers_tensorrt.so"
gcc -w -shared -fPIC -o "$capi/libonnxruntime_providers_tensorrt.so" "$here/otherprovider.c" -ldl
CUDA_PROVIDER="$capi/libonnxruntime_providers_cuda.so" LD_LIBRARY_PATH="$dir" PYTHONPATH="$site" \
	"${PYTHON:-$root/.venv/bin/python}" "$here/list.py" "$root/graphs/kernels/cuda.tsv"
