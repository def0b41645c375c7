#!/usr/bin/env bash
# Builds the kernel library, .cache/kernels/libortrain_kernels.so, for this
# machine's processor. It needs g++ with OpenMP and oneDNN with its headers
# (Debian's libdnnl-dev, or another one named by DNNL_DIR, which holds include/
# and lib/). ONNX Runtime's C header comes with its Go binding.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
go=${GO:-go}
cxx=${CXX:-g++}
say() { echo "make kernels: $*" >&2; exit 1; }
command -v "$cxx" >/dev/null || say "no C++ compiler ('$cxx' not found): install g++"
flags=()
if [ -n "${DNNL_DIR:-}" ]; then
	[ -d "$DNNL_DIR/include" ] && [ -d "$DNNL_DIR/lib" ] || say "DNNL_DIR=$DNNL_DIR has no include/ and lib/"
	flags+=("-I$DNNL_DIR/include" "-L$DNNL_DIR/lib" "-Wl,-rpath,$DNNL_DIR/lib")
fi
echo '#include <dnnl.hpp>' | "$cxx" -std=c++17 "${flags[@]}" -E -x c++ - >/dev/null 2>&1 ||
	say "oneDNN's headers are not installed: apt-get install libdnnl-dev, or set DNNL_DIR to a oneDNN that has them"
headers=$(cd "$root" && "$go" list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)
[ -n "$headers" ] || say "the Go module github.com/yalue/onnxruntime_go is not downloaded: run go mod download"
out=$root/.cache/kernels
mkdir -p "$out"
# -march=native: the library is built where it runs.
"$cxx" -std=c++17 -O3 -march=native -ffast-math -fno-finite-math-only -fPIC -shared -fvisibility=hidden -fopenmp \
	-Wall -Wextra -Wno-missing-field-initializers "${flags[@]}" "-I$headers" \
	"$root"/runtime/kernels/{common,src}/*.cc -o "$out/libortrain_kernels.so.tmp" -ldnnl
mv "$out/libortrain_kernels.so.tmp" "$out/libortrain_kernels.so"
echo "built $out/libortrain_kernels.so"
