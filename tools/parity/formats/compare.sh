#!/usr/bin/env bash
# Train ResNet-8 on the same images in every format, two epochs each, and
# compare the models byte for byte. Writes testdata/results/formats.csv.
#
#     tools/parity/formats/compare.sh FOLDER
#
# FOLDER is an image folder with train/ and val/ (64-pixel images take about a
# minute on two cores). Needs bin/ortrain (make build), and the Python
# environment (tools/parity/setup.sh) to write the other formats.
set -euo pipefail
cd "$(dirname "$0")/../../.."
[ $# = 1 ] || { sed -n '2,9p' "$0" | cut -c3-; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python tools/parity/formats/convert.py "$1" "$work"
ln -s "$(realpath "$1")" "$work/folder"
bin/ortrain data pack "$work/folder" --pixels file --out "$work/packed-files"
bin/ortrain data pack "$work/parquet" --size 64 --out "$work/packed-raw"
rows="format,test accuracy,sha256 of model.onnx"
for format in folder webdataset parquet csv packed-files packed-raw; do
  bin/ortrain train --data "$work/$format" --size 32 --model resnet8 --epochs 2 --batch 64 --limit 3000 --out "$work/run-$format" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  accuracy=$(sed -n 's/^test accuracy \([0-9.]*\) %.*/\1/p' "$work/log")
  sum=$(sha256sum "$work/run-$format/model.onnx" | cut -d' ' -f1)
  echo "$format: $accuracy %, $sum"
  rows+=$'\n'"$format,$accuracy,$sum"
done
echo "$rows" > testdata/results/formats.csv
[ "$(tail -n +2 testdata/results/formats.csv | cut -d, -f2,3 | sort -u | wc -l)" = 1 ] || { echo "the models differ"; exit 1; }
echo "all models are the same, byte for byte"
