#!/usr/bin/env bash
# What the host has to do for training steps at their real size, on the virtual
# device without arithmetic: kernels launched (cuDNN's and cuBLAS's own not
# counted) and bytes copied to the device a step, and the device's memory.
#
#   tools/virtualgpu/host.sh FILE.csv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${1:?usage: host.sh FILE.csv}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
go build -buildvcs=false -o "$scratch/gpu" ./tools/gpu
export VIRTUALGPU_NUMERICS=0 VIRTUALGPU_MEMORY_MIB=143000 VIRTUALGPU_TRACE=1 VIRTUALGPU_REPORT=$scratch/report.csv
k=8 steps=40 # 3 runs to warm up and 2 that are timed
echo 'model,batch,size,precision,kernel library,steps in a run,launches a step,MiB to the device a step,device MiB at the peak' >"$out"
for network in "resnet18 512 32" "resnet50 256 224"; do
	set -- $network
	for precision in "" -mixed; do
		for kernels in "" -no-kernels; do
			tools/virtualgpu/virtualgpu.sh run "$scratch/gpu" step -model "$1" -batch "$2" -size "$3" -steps 16 -rounds 1 -steps-per-run $k $precision $kernels 2>"$scratch/trace" >/dev/null
			awk -v steps=$steps -v row="$1,$2,$3,$([ -n "$precision" ] && echo mixed || echo float32),$([ -n "$kernels" ] && echo no || echo yes),$k" \
				-v memory="$(sed -n 's/^memory at its peak,,\([0-9]*\).*/\1/p' "$scratch/report.csv")" '
				/ blocks of / { launches++ }
				/copy to the device/ { bytes += $(NF - 1) }
				END { printf "%s,%.0f,%.1f,%s\n", row, launches / steps, bytes / steps / 1048576, memory }' "$scratch/trace" | tee -a "$out"
		done
	done
done
