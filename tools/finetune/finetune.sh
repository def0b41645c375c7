#!/bin/sh
# What starting from trained weights is worth on few photographs: a ResNet-18 at
# 64 pixels on ten classes of Caltech-101, from new weights and from those of
# the same network trained once, just before, on twenty classes of Tiny ImageNet.
# A fifth of the photographs of each class is held out; the seeds are those of
# the training on photographs.
#
# usage: finetune.sh TINY_IMAGENET_FOLDER CALTECH_FOLDER RESULTS_CSV
# SEEDS (default "1 2 3"), SOURCE_EPOCHS (5), SOURCE_LIMIT (10000), EPOCHS (6) and
# THREADS (0: all) may be set. About six minutes on two quiet cores.
set -eu
cd "$(dirname "$0")/../.."
tiny=$1 caltech=$2 csv=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
photos() {
	"${ORTRAIN:-bin/ortrain}" train --model resnet18 --size 64 --batch 32 --threads "${THREADS:-0}" \
		--set schedule.name=cosine --set optimizer.weight_decay=5e-4 --set model.options.stem=imagenet "$@" >&2
}
score() { "${ORTRAIN:-bin/ortrain}" eval --run "$1" --json | sed -n 's/.*"top1": \([0-9.]*\),*/\1/p'; }
echo 'start,seed,source_epochs,source_images,epochs,photographs_held_out_accuracy,ortrain' >"$work/table"
version=$("${ORTRAIN:-bin/ortrain}" version | head -1 | tr ',' ' ')
photos --data "$tiny" --seed 1 --lr 0.05 --epochs "${SOURCE_EPOCHS:-5}" --limit "${SOURCE_LIMIT:-10000}" --out "$work/tiny"
for seed in ${SEEDS:-1 2 3}; do
	for start in new trained; do
		set -- --data "$caltech" --seed "$seed" --lr 0.02 --epochs "${EPOCHS:-6}" --out "$work/$start$seed"
		[ $start = new ] || set -- "$@" --weights "$work/tiny"
		photos "$@"
		echo "$start,$seed,${SOURCE_EPOCHS:-5},${SOURCE_LIMIT:-10000},${EPOCHS:-6},$(score "$work/$start$seed"),$version" >>"$work/table"
	done
done
cp "$work/table" "$csv"
cat "$csv"
