#!/usr/bin/env bash
# Every figure of the training step, ours and PyTorch's in turn, into
# testdata/results/step_*.csv: about ten minutes on two cores that do nothing
# else. Build the kernel library first (make kernels), or its rows are missing.
#
#   tools/bench/all.sh
#   tools/bench/all.sh -rounds 9
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
program=$(mktemp)
trap 'rm -f "$program"' EXIT
go build -o "$program" ./tools/bench
bench() {
	printf '\n== %s\n' "$*"
	"$program" "$@"
}
bench -model resnet20 -batch 128 -rounds 7 -steps 5 "$@"
bench -model resnet20 -batch 128 -rounds 7 -steps 3 -threads 1 -out testdata/results/step_resnet20_1thread.csv "$@"
bench -model wrn16_4 -batch 64 -rounds 7 -steps 2 "$@"
bench -model resnet18 -batch 64 -rounds 7 -steps 2 "$@"
bench -model resnet50 -batch 16 -size 224 -rounds 7 -steps 1 "$@"
bench -model small_cnn -batch 64 -rounds 7 -steps 5 -go-peers "$@"
