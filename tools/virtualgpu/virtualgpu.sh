#!/usr/bin/env bash
# A CUDA device in software, for ONNX Runtime's own CUDA provider:
#
#   tools/virtualgpu/virtualgpu.sh setup           fetch the library (280 MB), build the device
#   tools/virtualgpu/virtualgpu.sh run COMMAND...  run a command with both, for example
#   tools/virtualgpu/virtualgpu.sh run bin/ortrain doctor --provider cuda
#
# README.md says what it is and is not. Needs Python with pip, g++, binutils.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/virtualgpu
# A release that carries its kernels as PTX, which the newer ones do not; for CUDA 12.
version=1.26.0
checksum=4fa231294c2643911d2a7d16469c4808b0bdcdc4b5f4063d3a53744ce25b683a

setup() {
	mkdir -p "$cache"
	if [ ! -e "$cache/onnxruntime/libonnxruntime_providers_cuda.so" ]; then
		local fetched
		fetched=$(mktemp -d "$cache/fetch.XXXXXX")
		trap 'rm -rf "$fetched"' EXIT
		echo "fetching onnxruntime-gpu==$version"
		python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
			--platform manylinux_2_28_x86_64 --dest "$fetched" "onnxruntime-gpu==$version"
		echo "$checksum  $(ls "$fetched"/*.whl)" | sha256sum --check --quiet || {
			echo "virtualgpu: the fetched file is not the one that is known; it was thrown away" >&2
			exit 1
		}
		mkdir "$fetched/onnxruntime"
		for library in libonnxruntime.so.$version libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so; do
			python3 -c 'import shutil, sys, zipfile; shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), open(sys.argv[3], "wb"))' \
				"$fetched"/*.whl "onnxruntime/capi/$library" "$fetched/onnxruntime/$library"
		done
		mv "$fetched/onnxruntime/libonnxruntime.so.$version" "$fetched/onnxruntime/libonnxruntime.so.1"
		mv "$fetched/onnxruntime" "$cache/onnxruntime"
		rm -rf "$fetched"
		trap - EXIT
	fi
	"$here/build.sh" "$cache/onnxruntime/libonnxruntime_providers_cuda.so" "$cache/device"
	echo "the virtual device is in $cache/device"
}

case "${1:-}" in
setup) setup ;;
run)
	shift
	[ -e "$cache/device/libcudart.so.12" ] || {
		echo "virtualgpu: not set up; run tools/virtualgpu/virtualgpu.sh setup" >&2
		exit 1
	}
	export LD_LIBRARY_PATH=$cache/device${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	export ORTRAIN_ONNXRUNTIME=$cache/onnxruntime/libonnxruntime.so.1
	exec "$@"
	;;
*)
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
