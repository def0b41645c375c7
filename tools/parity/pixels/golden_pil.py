"""Writes testdata/golden/pixels_pil.csv: what Pillow makes of images by formula.

    .venv/bin/python tools/parity/pixels/golden_pil.py            # writes
    .venv/bin/python tools/parity/pixels/golden_pil.py --check    # compares

One row for each operation and argument, one column for each image (images.py), the
CRC-32 of the result's bytes in hexadecimal. For the smallest image the bytes themselves.
"""

import argparse
import os
import sys
import zlib

import PIL
import torchvision
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torchvision.transforms import functional as F

sys.path.insert(0, os.path.dirname(__file__))
import images  # noqa: E402

OUT = os.path.join(os.path.dirname(__file__), "../../../testdata/golden/pixels_pil.csv")
IMAGES = ["photo.5x4x3", "noise.32x32x3", "photo.32x32x3", "dark.32x32x3", "flat.32x32x3",
          "noise.32x32x1", "photo.32x32x1", "noise.33x17x3", "photo.33x17x3", "photo.33x17x1",
          "noise.1x1x3", "noise.1x1x1", "noise.2x3x3", "photo.224x224x3", "photo.224x224x1"]
FILL = (124, 116, 104)


def affine(im, m, resample):
    colour = FILL if im.mode == "RGB" else FILL[0]
    return im.transform(im.size, Image.Transform.AFFINE, m, resample, fillcolor=colour)


def rotate(im, angle, resample):
    colour = FILL if im.mode == "RGB" else FILL[0]
    return im.rotate(angle, resample, fillcolor=colour)


def crop_resize(im, part, to, resample):
    """The window of a part of the image, resized to a size that depends on it."""
    w, h = im.size
    cw, ch = max(1, w * part // 100), max(1, h * part // 120)
    x, y = (w - cw) // 2, (h - ch) // 3
    return im.crop((x, y, x + cw, y + ch)).resize((max(1, w * to // 100), max(1, h * to // 100)), resample)


def cases():
    for name in ("invert", "autocontrast", "equalize"):
        yield name, "", lambda im, f=getattr(ImageOps, name): f(im)
    yield "grayscale", "", lambda im: F.to_grayscale(im, len(im.getbands()))
    for t in [0, 1, 5, 26, 51.2, 85, 100.5, 128, 141.66667175292969, 200, 254, 255, 256]:
        yield "solarize", t, lambda im, t=t: ImageOps.solarize(im, t)
    for b in range(1, 9):
        yield "posterize", b, lambda im, b=b: ImageOps.posterize(im, b)
    factors = [0, 0.01, 0.1, 0.19, 0.3, 0.46, 0.5, 0.64, 0.8, 0.82, 0.9, 0.99, 1, 1.01, 1.1, 1.18, 1.28, 1.36, 1.4, 1.5, 1.54, 1.72, 1.8, 1.9, 1.99, 2.5]
    for name in ("Brightness", "Contrast", "Color", "Sharpness"):
        for f in factors:
            yield name.lower(), f, lambda im, f=f, e=getattr(ImageEnhance, name): e(im).enhance(f)
    for r, filter in ((Image.Resampling.NEAREST, "nearest"), (Image.Resampling.BILINEAR, "bilinear")):
        for i in range(1, 11):
            for s in (1, -1):
                v = s * 0.3 * i / 10
                yield f"shearx_{filter}", v, lambda im, v=v, r=r: affine(im, (1, v, 0, 0, 1, 0), r)
                yield f"sheary_{filter}", v, lambda im, v=v, r=r: affine(im, (1, 0, 0, v, 1, 0), r)
        for v in (0.99, -0.99):
            yield f"shearx_{filter}", v, lambda im, v=v, r=r: affine(im, (1, v, 0, 0, 1, 0), r)
            yield f"sheary_{filter}", v, lambda im, v=v, r=r: affine(im, (1, 0, 0, v, 1, 0), r)
        for v in (0, 1, -1, 3, -4, 9, -10, 16, 31, -32, 100, -150, 300, 2.5, -7.25, 0.4, -0.5):
            yield f"translatex_{filter}", v, lambda im, v=v, r=r: affine(im, (1, 0, -v, 0, 1, 0), r)
            yield f"translatey_{filter}", v, lambda im, v=v, r=r: affine(im, (1, 0, 0, 0, 1, -v), r)
        for v in [0, 90, 180, 270, -90, 135, -135, 360, 45, 14.5, 0.1, -0.1] + [s * d for d in range(3, 31, 3) for s in (1, -1)]:
            yield f"rotate_{filter}", v, lambda im, v=v, r=r: rotate(im, v, r)
    for h in (-0.5, -0.4, -0.25, -0.1, -0.003, 0, 0.003, 0.05, 0.1, 0.25, 0.4, 0.5):
        yield "hue", h, lambda im, h=h: F.adjust_hue(im, h)
    for r in (0, 0.1, 0.25, 0.3, 0.5, 0.77, 1, 1.3, 1.5, 1.9, 2, 3, 5.5, 20):
        yield "blur", r, lambda im, r=r: im.filter(ImageFilter.GaussianBlur(r))
    for name in ("box", "bilinear", "bicubic", "lanczos"):
        r = getattr(Image.Resampling, name.upper())
        for part, to in ((100, 100), (100, 50), (100, 33), (100, 171), (100, 10), (30, 100), (55, 100), (80, 100), (95, 60), (20, 300)):
            yield f"resize_{name}", f"{part}:{to}", lambda im, a=part, b=to, r=r: crop_resize(im, a, b, r)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--check", action="store_true")
    check = args.parse_args().check
    ims = [images.parse(n) for n in IMAGES]
    rows = [f"# Pillow {PIL.__version__}, torchvision {torchvision.__version__.split('+')[0]}; tools/parity/pixels/golden_pil.py",
            "operation,argument," + ",".join(IMAGES)]
    for name, value, f in cases():
        results = [f(im).tobytes() for im in ims]
        rows.append(f"{name},{value}," + results[0].hex() + "," + ",".join(f"{zlib.crc32(b):08x}" for b in results[1:]))
    text = "\n".join(rows) + "\n"
    if check:
        if open(OUT).read() != text:
            sys.exit("golden_pil.py: the committed file differs")
        return
    with open(OUT, "w") as f:
        f.write(text)
    print(len(rows) - 2, "rows", len(text), "bytes")


main()
