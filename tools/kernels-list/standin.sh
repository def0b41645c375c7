#!/bin/sh
# standin.sh PROVIDER DIR: fills DIR with stand-ins for the CUDA libraries that
# PROVIDER, a libonnxruntime_providers_cuda.so, needs: every function that it
# imports, of which those of cudart.c and handles.c do something and the others
# say that all is well. With LD_LIBRARY_PATH=DIR, ONNX Runtime places nodes and
# builds kernels as on a machine with a GPU. Nothing can run.
# Needs gcc, binutils.
set -eu
provider=${1:?usage: standin.sh PROVIDER DIR}
dir=${2:?usage: standin.sh PROVIDER DIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
imports() { nm -D --undefined-only "$provider" | awk '{print $2}' | sed 's/@.*//' | grep -E "$1" | sort -u; }
named() { strings -n 6 "$provider" | grep -E "^$1[A-Z][A-Za-z0-9_]+\$" | sort -u; }

library() { # NAME SOURCE FUNCTIONS: a library of the functions, as in SOURCE where it has them
	gcc -c -w -fPIC -o "$dir/part.o" "$2"
	have=$(nm --defined-only "$dir/part.o" | awk '{print $3}')
	cp "$2" "$dir/part.c"
	for f in $3; do
		echo "$have" | grep -qx "$f" || echo "int $f() { return 0; }" >>"$dir/part.c"
	done
	version=
	if nm -D --undefined-only "$provider" | grep -q "@$1\$"; then
		echo "$1 { global: *; };" >"$dir/part.map"
		version=-Wl,--version-script=$dir/part.map
	fi
	gcc -w -shared -fPIC -o "$dir/$1" "$dir/part.c" -Wl,-soname,"$1" $version
	rm -f "$dir"/part.*
}
needed() { readelf -d "$provider" | sed -n "s/.*\[\($1\.so[.0-9]*\)\].*/\1/p"; }

library "$(needed libcudart)" "$here/cudart.c" "$(imports '^(cuda|__cuda)')"
library libcuda.so.1 "$here/driver.c" "$(imports '^cu[A-Z]')"
library "$(needed libcublas)" "$here/handles.c" "$(imports '^cublas[A-Z]' | grep -v '^cublasLt')"
library "$(needed libcublasLt)" "$here/handles.c" "$(imports '^cublasLt')"
library "$(needed libcurand)" "$here/handles.c" "$(imports '^curand')"
library libcudnn.so.9 "$here/handles.c" "$(named cudnn)"
ln -sf libcudnn.so.9 "$dir/libcudnn.so"
