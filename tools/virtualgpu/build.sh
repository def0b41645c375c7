#!/bin/sh
# build.sh PROVIDER DIR: fills DIR with the virtual device's libraries, made to
# fit PROVIDER, a libonnxruntime_providers_cuda.so: its names and versions of
# CUDA's libraries, and every function that it imports. What is not there yet
# fails when it is called, and says its name.
# Needs g++, binutils.
set -eu
provider=${1:?usage: build.sh PROVIDER DIR}
dir=${2:?usage: build.sh PROVIDER DIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir/parts"
parts=$dir/parts
needed() { readelf -d "$provider" | sed -n "s/.*\[\($1\.so[.0-9]*\)\].*/\1/p"; }
imports() { nm -D --undefined-only "$provider" | awk '{print $2}' | sed 's/@.*//' | grep -E "$1" | sort -u; }

cudart=$(needed libcudart)
cuda=${cudart##*.}
flags="-std=c++17 -O3 -march=native -fPIC -frounding-math -Wall -DVIRTUALGPU_CUDA=${cuda}000"
compile() { # SOURCE: anew where it or a header that it includes is newer than its object
	object=$parts/$(basename "$1").o
	read_by=$(sed 's/^[^:]*://; s/\\$//' "$object.d" 2>/dev/null || true)
	if [ -z "$read_by" ] || [ ! -e "$object" ] || [ -n "$(find $read_by -newer "$object" 2>&1)" ]; then
		g++ $flags -MMD -MF "$object.d" -c -o "$object.new" "$1" && mv "$object.new" "$object"
	fi
}
for source in "$here"/*.cc; do
	compile "$source" &
done
wait

library() { # NAME FUNCTIONS OBJECTS...: a library with the functions, those that the objects lack failing
	name=$1 functions=$2
	shift 2
	[ -n "$name" ] || return 0
	{
		echo '#include <cstdio>'
		echo '#define MISSING(f) extern "C" int f() { fputs("virtualgpu: " #f " is not implemented", stderr); fputc(10, stderr); return 801; }'
		for f in $functions; do
			nm --defined-only "$@" 2>/dev/null | awk '{print $3}' | grep -qx "$f" ||
				echo "MISSING($f)"
		done
	} >"$parts/missing.cc"
	g++ -fPIC -c -o "$parts/missing.o" "$parts/missing.cc"
	version=
	if nm -D --undefined-only "$provider" | grep -q "@$name\$"; then
		echo "$name { global: *; };" >"$parts/version"
		version=-Wl,--version-script=$parts/version
	fi
	own=
	[ "$name" = "$cudart" ] || own="-L$dir -Wl,--no-as-needed -l:$cudart -Wl,-rpath,\$ORIGIN"
	g++ -shared -fPIC -pthread -o "$dir/$name" "$@" "$parts/missing.o" -Wl,-soname,"$name" $version $own
}
objects() { # PREFIX: those of our sources that begin so
	find "$parts" -name "$1*.o" | sort
}
library "$cudart" "$(imports '^(cuda|__cuda)')" $(objects cudart) $(objects memory) $(objects fatbinary) $(objects decode) $(objects warp) $(objects select)
library libcuda.so.1 "$(imports '^cu[A-Z]')" $(objects driver)
library "$(needed libcublas)" "$(imports '^cublas[A-KM-Z]')" $(objects cublas | grep -v cublaslt)
library "$(needed libcublasLt)" "$(imports '^cublasLt')" $(objects cublaslt)
library "$(needed libcurand)" "$(imports '^curand')" $(objects curand)
library "$(needed libcufft)" "$(imports '^cufft')" $(objects cufft)
library libcudnn.so.9 "$(imports '^cudnn')" $(objects cudnn)
ln -sf libcudnn.so.9 "$dir/libcudnn.so"
