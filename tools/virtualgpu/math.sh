#!/bin/sh
# math.sh DIR: builds the stand-ins for cuDNN, cuBLAS and cuBLASLt into DIR.
# Needs g++. CUBLAS=13 gives cuBLAS the names of CUDA 13.
set -eu
dir=${1:?usage: math.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
cuda=${CUBLAS:-12}
mkdir -p "$dir"

library() { # NAME SOURCES: a library whose functions carry its name as their version
	name=$1
	shift
	echo "$name { global: *; };" >"$dir/$name.map"
	g++ -std=c++17 -O3 -Wall -Wextra -fPIC -shared -pthread -o "$dir/$name" "$@" -Wl,-soname,"$name" -Wl,--version-script="$dir/$name.map"
	rm "$dir/$name.map"
}

library libcudnn.so.9 "$here"/cudnn*.cc
library "libcublas.so.$cuda" "$here/cublas.cc"
library "libcublasLt.so.$cuda" "$here/cublaslt.cc"
ln -sf libcudnn.so.9 "$dir/libcudnn.so"
