#!/bin/sh
# math.sh DIR: builds the stand-ins for cuDNN, cuBLAS and cuBLASLt alone into DIR.
# Needs g++.
set -eu
dir=${1:?usage: math.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir/parts"
for source in "$here"/cudnn*.cc "$here"/cublas*.cc; do
	g++ -std=c++17 -O3 -march=native -Wall -Wextra -fPIC -c -o "$dir/parts/$(basename "$source").o" "$source" &
done
wait
library() { # NAME OBJECTS: a library whose functions carry its name as their version
	name=$1
	shift
	echo "$name { global: *; };" >"$dir/parts/version"
	g++ -shared -pthread -o "$dir/$name" "$@" -Wl,-soname,"$name" -Wl,--version-script="$dir/parts/version"
}
library libcudnn.so.9 "$dir"/parts/cudnn*.o
library libcublas.so.12 "$dir"/parts/cublas.cc.o
library libcublasLt.so.12 "$dir"/parts/cublaslt.cc.o
ln -sf libcudnn.so.9 "$dir/libcudnn.so"
