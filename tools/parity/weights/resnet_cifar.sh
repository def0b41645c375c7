#!/bin/sh
# Scores published ResNet-20 and ResNet-56 weights for CIFAR-10 (legacy PyTorch
# pickles with option-A shortcuts, trained with ImageNet's normalisation) on the
# original test set: 91.73 % and 93.39 % are what their author reports.
#
# usage: resnet_cifar.sh CIFAR_FOLDER RESNET20_FILE RESNET56_FILE
set -eu
cd "$(dirname "$0")/../../.."
score() {
	bin/ortrain eval --weights "$1" --model "$2" --data cifar10 --data-dir "$cifar" \
		--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --json | tee /dev/stderr |
		grep -q "\"top1\": $3" || { echo "$2 does not score $3" >&2; exit 1; }
}
cifar=$1
score "$2" resnet20 0.9173
score "$3" resnet56 0.9339
