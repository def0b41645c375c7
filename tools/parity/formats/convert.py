"""Write an image folder (train/CLASS/*, val/CLASS/*) in the other formats.

    .venv/bin/python tools/parity/formats/convert.py FOLDER OUT

makes OUT/webdataset (tar shards), OUT/parquet (as the library datasets of
Hugging Face writes image sets: struct image{bytes, path}, ClassLabel, row
groups of 100) and OUT/csv (a manifest), all of the very same image files in
the same order: runs on them must end with the same bytes.

--fixtures instead writes the small files of testdata/formats.
"""

import argparse
import csv
import io
import json
import pathlib
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = {".jpg", ".jpeg", ".png"}


def samples(part, classes):
    """Yields (class number, path) in the order of ortrain's folder format."""
    for number, name in enumerate(classes):
        for path in sorted((part / name).rglob("*"), key=lambda p: str(p)):
            if path.suffix.lower() in ENDINGS:
                yield number, path


def table(rows, classes):
    features = {
        "image": {"_type": "Image"},
        "label": {"names": classes, "_type": "ClassLabel"},
    }
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    return pa.table(
        {
            "image": [{"bytes": data, "path": name} for _, name, data in rows],
            "label": [label for label, _, _ in rows],
        },
        schema=schema,
    )


def write_tar(path, rows, label="cls"):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i, (number, name, data) in enumerate(rows):
            key = f"{i:06d}"
            text = json.dumps({"label": number, "name": name}) if label == "json" else str(number)
            for ending, body in ((pathlib.Path(name).suffix.lower()[1:], data), (label, text.encode())):
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))


def convert(folder, out):
    classes = sorted(p.name for p in (folder / "train").iterdir() if p.is_dir())
    for kind in ("webdataset", "parquet", "csv"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    (out / "webdataset" / "classes.txt").write_text("\n".join(classes) + "\n")
    with open(out / "csv" / "images.csv", "w", newline="") as f:
        manifest = csv.writer(f)
        manifest.writerow(["path", "label", "split"])
        for part in ("train", "val"):
            rows = []
            for number, path in samples(folder / part, classes):
                manifest.writerow([str(path.resolve()), classes[number], part])
                rows.append((number, path.name, path.read_bytes()))
            shard = -(-len(rows) // 4)
            for k in range(4):
                cut = rows[k * shard : (k + 1) * shard]
                write_tar(out / "webdataset" / f"{part}-{k:06d}.tar", cut)
            name = {"train": "train", "val": "validation"}[part]
            half = -(-len(rows) // 2)
            for k in range(2):
                pq.write_table(
                    table(rows[k * half : (k + 1) * half], classes),
                    out / "parquet" / f"{name}-{k:05d}-of-00002.parquet",
                    row_group_size=100,
                )


def fixtures(out):
    from PIL import Image

    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(24):
        image = Image.new("RGB", (5 + i % 4, 6), (10 * i, 255 - 10 * i, i))
        body = io.BytesIO()
        image.save(body, "PNG")
        rows.append((i % 3, f"{i}.png", body.getvalue()))
    classes = ["ant", "bee", "cow"]
    data = table(rows, classes)
    # The library's own defaults; small pages of the second version of the
    # format; no dictionary and no compression; a row without an image.
    pq.write_table(data, out / "train-defaults.parquet", row_group_size=10)
    pq.write_table(data, out / "train-v2.parquet", row_group_size=16, data_page_size=128, write_batch_size=2,
                   data_page_version="2.0", compression="zstd", write_page_index=True, use_dictionary=False)
    pq.write_table(data, out / "train-plain.parquet", compression="none", use_dictionary=["label"])
    missing = data.to_pylist()
    missing[5]["image"] = None
    missing[7]["image"]["bytes"] = None
    missing[9]["label"] = -1
    pq.write_table(pa.Table.from_pylist(missing, schema=data.schema), out / "train-missing.parquet", data_page_size=64, write_batch_size=3)
    write_tar(out / "train-0.tar", rows[:12])
    write_tar(out / "train-1.tar", rows[12:], "json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fixtures", action="store_true")
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    args = parser.parse_args()
    if args.fixtures:
        fixtures(pathlib.Path("testdata/formats"))
    elif args.out is None:
        parser.error("give FOLDER and OUT")
    else:
        convert(args.folder, args.out)
