#!/usr/bin/env bash
# Everything there is to measure on a GPU, by steps of less than ten minutes
# each, whose results are kept under testdata/results/gpu:
#
#   tools/gpu/run.sh                     every step, one after the other
#   tools/gpu/run.sh step18 step50       some of them
#   tools/gpu/run.sh --small             tiny: proves the script, for instance on the
#                                        virtual device (tools/virtualgpu)
#   tools/gpu/run.sh --cpu               tiny and on the CPU
#
#   machine     the device, its driver and libraries (ortrain doctor)
#   check       a step against the CPU's, TF32 off: losses, logits, gradients
#   primitives  every operator in every form against the float64 reference
#   step18      images/s of ResNet-18, small stem, 32 pixels, batch 512, beside PyTorch
#   step50      images/s of ResNet-50, 224 pixels, batch 256, beside PyTorch
#   profile     where the time of these steps goes, by operator and by node
#   forms18     the fastest form of every operator of the first; runs on this
#   forms50     machine take them from then on: time the steps again afterwards;
#               a call that was cut off goes on when repeated
#   train       CIFAR-10, ResNet-18 to its plateau, beside PyTorch (needs DATA);
#               goes on where an earlier call stopped
#
# Where CUDA's kernel library is built (make kernels-cuda; pack sees to it), all
# that may use it is measured with it and without.
#
# For a machine that cannot build or fetch anything, and takes small transfers:
#
#   tools/gpu/run.sh pack                here: programs and library into .gpu,
#                                        in folders of at most 50 MiB
#   tools/gpu/run.sh unpack              there, once all of .gpu is there
#
# Variables: DATA the folder of CIFAR-10's binary files (TEST_FILE test_batch.bin),
# PYTHON one with PyTorch, OUT another folder for the results, MINUTES the
# longest that 'train' may take in a call (8), DEVICE the device's number.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
version=1.30.0
small= cpu=
case "${1:-}" in
--small) small=1 ;;
--cpu) small=1 cpu=1 ;;
esac
[ -z "$small" ] || shift
out=${OUT:-testdata/results/gpu}
[ -z "$small" ] || out=${OUT:-runs/gpu-small${cpu:+-cpu}}
mkdir -p "$out"
out=$(cd "$out" && pwd)
minutes=${MINUTES:-8} device=${DEVICE:-0}

pack() {
	[ -e ".cache/onnxruntime-cuda/$version/libonnxruntime_providers_cuda.so" ] || make --no-print-directory setup-cuda
	rm -rf .gpu && mkdir -p .gpu/bin
	go build -buildvcs=false -o .gpu/bin/ortrain ./cmd/ortrain
	go build -buildvcs=false -o .gpu/bin/gpu ./tools/gpu
	go test -c -o .gpu/bin/primitives.test ./runtime/primitives
	[ -e .cache/kernels/libortrain_kernels_cuda.so ] || make --no-print-directory kernels-cuda
	cp .cache/kernels/libortrain_kernels_cuda.so .gpu/bin/ # found beside the programs
	# The library compresses to some 180 MiB: four folders.
	tar cf - -C ".cache/onnxruntime-cuda/$version" . | xz -T0 -6 | split -b 48M -d -a 1 - .gpu/library.
	for piece in .gpu/library.?; do
		mkdir "$piece.d" && mv "$piece" "$piece.d/"
	done
	xz -T0 -6 .gpu/bin/*
	du -sh .gpu/bin .gpu/library.*
	echo "carry each of these folders to $(basename "$root") on the other machine, then: tools/gpu/run.sh unpack"
}

unpack() {
	mkdir -p ".cache/onnxruntime-cuda/$version"
	cat .gpu/library.?.d/library.? | tar xJ -C ".cache/onnxruntime-cuda/$version"
	xz -df .gpu/bin/*.xz
	chmod +x .gpu/bin/*
	ls -l ".cache/onnxruntime-cuda/$version"
}

case "${1:-}" in pack | unpack) "$1"; exit ;; esac

# The programs: those of pack, or built now.
bin=$root/.gpu/bin
if [ ! -x "$bin/gpu" ] || { [ -n "$small" ] && command -v go >/dev/null; }; then
	bin=$(mktemp -d)
	trap 'rm -rf "$bin"' EXIT
	go build -buildvcs=false -o "$bin/ortrain" ./cmd/ortrain
	go build -buildvcs=false -o "$bin/gpu" ./tools/gpu
	go test -c -o "$bin/primitives.test" ./runtime/primitives
fi
# What is measured: network, batch, height and width.
first=(resnet18 512 32) second=(resnet50 256 224)
if [ -n "$cpu" ]; then
	first=(resnet18 4 32) second=(resnet50 2 64)
elif [ -n "$small" ]; then # what an interpreter of its kernels does in seconds
	first=(resnet8 4 16) second=(resnet20 2 16)
fi

# A Python that has PyTorch, for the same device.
python=${PYTHON:-}
for candidate in .venv/bin/python python3; do
	[ -n "$python" ] || ! "$candidate" -c 'import torch' 2>/dev/null || python=$(command -v "$candidate")
done
# What is measured of the forms stays with the results.
export XDG_CACHE_HOME=$out/cache
if [ -z "$cpu" ]; then
	# CUDA's libraries of PyTorch serve ONNX Runtime too.
	if [ -n "$python" ]; then
		libraries=$("$python" - <<-'P'
			import glob, os, sysconfig
			print(":".join(sorted(glob.glob(os.path.join(sysconfig.get_paths()["purelib"], "nvidia", "*", "lib")))))
		P
		)
		export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
	fi
	where=(-provider cuda -device "$device")
	run=(--provider cuda --device "$device")
	torch=(--device "cuda:$device")
else
	where=(-provider cpu)
	run=(--provider cpu)
	torch=(--device cpu)
fi
peerless=
if [ -z "$python" ]; then
	peerless="there is no Python that has it (PYTHON=...)"
elif [ -n "$small" ] && [ -z "$cpu" ]; then
	peerless="it has no network as small as these"
elif [ -z "$cpu" ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
	peerless="that of $python finds no CUDA device"
fi

# With the kernel library where there is one, and without.
forms=(-no-kernels)
if [ -z "$cpu" ] && [ -e "$bin/libortrain_kernels_cuda.so" -o -e .cache/kernels/libortrain_kernels_cuda.so ]; then
	forms=("" -no-kernels)
fi

say() { printf '\n== %s\n' "$*"; }
fresh() { rm -f "$@"; }
peer() {
	if [ -n "$peerless" ]; then
		echo "PyTorch is not timed: $peerless"
		return
	fi
	"$python" tools/gpu/peer.py "${torch[@]}" "$@"
}

machine() {
	{
		date -u +%F
		[ -n "$cpu" ] || ! command -v nvidia-smi >/dev/null || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true
		[ -z "$python" ] || "$python" -c 'import torch; print("PyTorch", torch.__version__, "cuDNN", torch.backends.cudnn.version())'
		"$bin/ortrain" doctor "${run[@]:0:2}" | grep -v 'data set' || true
	} 2>&1 | tee "$out/machine.txt"
	grep -q 'a training step works' "$out/machine.txt"
}

check() {
	fresh "$out/check.csv"
	local networks=("resnet20 128 32" "wrn16_4 64 32" "resnet18 128 32" "resnet50 32 128")
	[ -z "$small" ] || networks=("resnet20 16 32")
	for network in "${networks[@]}"; do
		set -- $network
		for f in "${forms[@]}"; do
			"$bin/gpu" check "${where[@]}" -model "$1" -batch "$2" -size "$3" $f -out "$out/check.csv"
		done
	done
}

primitives() {
	local which='TestForms/.*/(cuda_|chosen_cuda)|TestHalf/.*/cuda_|TestFusions|TestNetworks|TestMixedNetworks'
	[ -z "$small" ] || which='TestForms/(MaxPool|ReluGrad).*/(cuda_|chosen_cuda)'
	(
		cd runtime/primitives
		[ -n "$cpu" ] || export ORTRAIN_TEST_PROVIDER=cuda
		"$bin/primitives.test" -test.run "$which" -test.parallel 1 -test.v 2>&1 | grep -E '^( *--- FAIL|.*(distance|away|FAIL|PASS$))' | tee "$out/primitives.txt"
	)
	tail -1 "$out/primitives.txt" | grep -q PASS
}

# speed MODEL BATCH SIZE STEPS FILE: ours and PyTorch's.
speed() {
	local common=(-model "$1" -batch "$2" -size "$3" -steps "$4" -out "$5")
	local peers=(--model "$1" --batch "$2" --size "$3" --steps "$4" --out "$5")
	local rounds=3 runs="1 8 32"
	if [ -n "$small" ]; then
		rounds=1 runs="1 2"
	fi
	peer "${peers[@]}" --rounds $rounds --precision amp
	for f in "${forms[@]}"; do
		for k in $runs; do
			"$bin/gpu" step "${where[@]}" "${common[@]}" -rounds $rounds -mixed $f -steps-per-run "$k"
		done
	done
	peer "${peers[@]}" --rounds $rounds --precision amp --input host
	peer "${peers[@]}" --rounds $rounds --precision tf32
	for f in "${forms[@]}"; do
		"$bin/gpu" step "${where[@]}" "${common[@]}" -rounds $rounds $f -steps-per-run "${runs##* }"
	done
	[ -n "$cpu" ] || "$bin/gpu" step "${where[@]}" "${common[@]}" -rounds $rounds -mixed -heuristic -steps-per-run 8
}

step18() {
	fresh "$out/step_resnet18.csv"
	speed "${first[@]}" $([ -n "$small" ] && echo 2 || echo 64) "$out/step_resnet18.csv"
}

step50() {
	fresh "$out/step_resnet50.csv"
	speed "${second[@]}" $([ -n "$small" ] && echo 2 || echo 32) "$out/step_resnet50.csv"
}

profile() {
	export CUDA_LAUNCH_BLOCKING=1
	for precision in "" -mixed; do
		for f in "${forms[@]}"; do
			profiled "${first[@]}" 5 "$out/profile_resnet18$precision$f.csv" $precision $f
			profiled "${second[@]}" 3 "$out/profile_resnet50$precision$f.csv" $precision $f
		done
	done
	unset CUDA_LAUNCH_BLOCKING
}

# profiled MODEL BATCH SIZE STEPS FILE FLAGS...
profiled() { "$bin/gpu" profile "${where[@]}" -model "$1" -batch "$2" -size "$3" -steps "$([ -n "$small" ] && echo 1 || echo "$4")" -out "$5" "${@:6}"; }

# timed FILE MODEL BATCH SIZE: the forms of a step's operators.
timed() {
	for precision in "" -mixed; do
		"$bin/gpu" forms "${where[@]}" -model "$2" -batch "$3" -size "$4" $precision -out "$1$precision.csv"
	done
}

forms18() { timed "$out/forms_resnet18" "${first[@]}"; }
forms50() { timed "$out/forms_resnet50" "${second[@]}"; }

train() {
	: "${DATA:?set DATA to the folder of the binary files of CIFAR-10}"
	local epochs=60 limit=() ours=$out/cifar10_resnet18 recipe=(--batch 512 --set steps_per_run=16 --set precision.type=mixed) theirs=(--batch 512)
	if [ -n "$small" ]; then
		epochs=2 limit=(--limit 64)
		recipe=(--batch 16 --set steps_per_run=2) theirs=(--batch 16 --warmup 1)
	fi
	say "ours"
	timeout --preserve-status -s INT "${minutes}m" "$bin/ortrain" train --data cifar10 --data-dir "$DATA" --train-files 'data_batch_[1-5].bin' --test-files "${TEST_FILE:-test_batch.bin}" \
		"${run[@]}" --model "${first[0]}" --epochs $epochs --lr 0.2 --seed 1 "${recipe[@]}" ${limit[@]+"${limit[@]}"} \
		--set "schedule.warmup={kind: gradual, epochs: $([ -n "$small" ] && echo 1 || echo 5)}" --set optimizer.weight_decay=5e-4 --set checkpoint.every=5 \
		--resume auto --out "$ours" || [ -e "$ours/metrics.csv" ] # stopped in time: the next call goes on
	cp "$ours/metrics.csv" "$out/cifar10_resnet18_ortrain.csv"
	if [ -n "$peerless" ]; then
		echo "PyTorch is not trained: $peerless"
		return
	fi
	say "PyTorch"
	"$python" tools/gpu/train.py "${torch[@]}" --data-dir "$DATA" --test-file "${TEST_FILE:-test_batch.bin}" --epochs $epochs "${theirs[@]}" \
		${limit[@]+"${limit[@]}"} --minutes "$minutes" --out "$out/cifar10_resnet18_pytorch.csv"
}

steps=("$@")
if [ ${#steps[@]} = 0 ]; then
	steps=(machine check primitives step18 step50 profile forms18 forms50)
	[ -z "${DATA:-}" ] || steps+=(train)
fi
for s in "${steps[@]}"; do
	case $s in
	machine | check | primitives | step18 | step50 | profile | forms18 | forms50 | train) ;;
	*)
		echo "run.sh: there is no step $s; see the head of the script" >&2
		exit 2
		;;
	esac
done
for s in "${steps[@]}"; do
	say "$s"
	begun=$(date +%s)
	"$s"
	echo "$s took $(($(date +%s) - begun)) s"
done
