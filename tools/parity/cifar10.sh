#!/usr/bin/env bash
# Trains ResNet-20 on CIFAR-10 for two epochs by the same recipe, with ortrain
# and with PyTorch, and keeps both results:
#
#   tools/parity/cifar10.sh DATA_DIR [SEED]
#
# DATA_DIR holds data_batch_1..5.bin and the test file (TEST_FILE, default
# test_batch.bin). Rows go to testdata/results/cifar10_resnet20_parity*.csv.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${1:?usage: tools/parity/cifar10.sh DATA_DIR [SEED]}
seed=${2:-1}
test_file=${TEST_FILE:-test_batch.bin}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
results=testdata/results

make --no-print-directory build
bin/ortrain train --data cifar10 --data-dir "$data" --train-files 'data_batch_[1-5].bin' --test-files "$test_file" \
  --model resnet20 --batch 128 --epochs 2 --lr 0.1 --seed "$seed" --threads 2 --out "$out/run"
table=$results/cifar10_resnet20_parity_ortrain.csv
library=$(bin/ortrain doctor --json | sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' | head -1)
[ -f "$table" ] || echo "date,seed,test_file,onnxruntime,$(head -1 "$out/run/metrics.csv")" >"$table"
tail -1 "$out/run/metrics.csv" | sed "s|^|$(date -u +%F),$seed,$test_file,$library,|" >>"$table"
tail -1 "$table"

# The recipe's default warm-up is a fifth of so short a run.
.venv/bin/python tools/parity/train_cifar.py --data-dir "$data" --test-file "$test_file" \
  --model resnet20 --batch 128 --epochs 2 --warmup 0.4 --lr 0.1 --seed "$seed" --threads 2
tail -1 $results/cifar10_resnet20_parity_pytorch.csv
