#!/usr/bin/env bash
# The tests that take minutes: 400 kills, 500 sessions, and a long run watched.
# MINUTES is the length of the run (default 30); all together take 15 more. What
# they say goes to testdata/results/soak.txt, the samples of the run beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
minutes=${MINUTES:-30}
log=testdata/results/soak.txt
mkdir -p testdata/results
{
	echo "tools/soak/soak.sh, $(date -u +%F), $(go env GOVERSION), ONNX Runtime $(basename "$(dirname "$(ls -d .cache/onnxruntime/*/libonnxruntime.so* | head -1)")"), $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)"
	echo
	echo "== kill -9 at random moments, resumed by --resume auto, compared with a run that was left alone"
	go test ./cmd/ortrain -count=1 -timeout 90m -run 'TestKilled' -v -long
	echo
	echo "== 500 times a trainer and an evaluator"
	go test ./runtime -count=1 -timeout 30m -run 'TestSessionsLeaveNothing' -v -long
	echo
	echo "== a run of $minutes minutes (samples in testdata/results/soak_memory.csv)"
	go run ./tools/soak -minutes "$minutes" 2>/dev/null
} | tee "$log"
