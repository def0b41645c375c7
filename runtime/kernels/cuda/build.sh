#!/usr/bin/env bash
# Builds the kernel library for CUDA, .cache/kernels/libortrain_kernels_cuda.so,
# for every NVIDIA device of compute capability 7.5 or newer and drivers of CUDA
# 12 and 13. It needs g++, and a compiler of CUDA: the one that NVCC names, or
# NVIDIA's packages, which are fetched into .cache/nvcc (140 MB, needs python3 with
# pip). ONNX Runtime's C header comes with its Go binding. No GPU is needed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
here=$root/runtime/kernels/cuda
go=${GO:-go} cxx=${CXX:-g++} python=${PYTHON:-python3}
say() { echo "make kernels-cuda: $*" >&2; exit 1; }
command -v "$cxx" >/dev/null || say "no C++ compiler ('$cxx' not found): install g++"
headers=$(cd "$root" && "$go" list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)
[ -n "$headers" ] || say "the Go module github.com/yalue/onnxruntime_go is not downloaded: run go mod download"
out=$root/.cache/kernels
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "${NVCC:-}" ]; then
	code=()
	for sm in 75 80 86 89 90 100 120; do
		code+=(-gencode "arch=compute_$sm,code=sm_$sm")
	done
	"$NVCC" -std=c++17 -fatbin "${code[@]}" -gencode arch=compute_75,code=compute_75 -o "$work/device.fatbin" "$here/src/device.cu" ||
		say "NVCC=$NVCC does not compile the kernels; CUDA 12.8 and newer do"
else
	# A compiler of CUDA 12, so that drivers of CUDA 12 take the code too; of the
	# newer package only the program that packs it.
	packages=$root/.cache/nvcc
	nvrtc=$packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12 fatbinary=$packages/nvidia/cu13/bin/fatbinary
	if [ ! -e "$nvrtc" ] || [ ! -e "$fatbinary" ]; then
		"$python" -m pip --version >/dev/null 2>&1 || say "no python3 with pip to fetch NVIDIA's compiler: install it, or set NVCC to the compiler of a CUDA toolkit"
		"$python" -m pip install -q --no-deps --upgrade --target "$packages" nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-nvcc==13.5.37 ||
			say "NVIDIA's compiler cannot be fetched; set NVCC to the compiler of a CUDA toolkit"
		chmod +x "$fatbinary"
	fi
	"$python" "$here/compile.py" "$nvrtc" "$fatbinary" "$here/src/device.cu" "$work/device.fatbin" || say "the kernels do not compile"
fi
"$cxx" -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wno-missing-field-initializers \
	"-DFATBIN=\"$work/device.fatbin\"" "-I$headers" "$here"/src/*.cc "$root"/runtime/kernels/common/*.cc \
	-o "$out/libortrain_kernels_cuda.so.tmp" -ldl
mv "$out/libortrain_kernels_cuda.so.tmp" "$out/libortrain_kernels_cuda.so"
echo "built $out/libortrain_kernels_cuda.so"
