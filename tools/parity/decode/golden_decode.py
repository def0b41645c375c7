"""Writes testdata/decode: small image files of every kind that is decoded; in
pixels/ what Pillow makes of each, upright, RGB; and in prepared/ what
torchvision then makes of some for training and evaluation, 48×48.

    .venv/bin/python tools/parity/decode/golden_decode.py [--check]

--check writes nothing and reports files whose pixels Pillow decodes otherwise.
"""
import argparse
import io
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps
from torchvision.transforms import functional as F

OUT = pathlib.Path(__file__).resolve().parents[3] / "testdata" / "decode"


def picture(w, h, seed=0):
    """A smooth picture with some edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    r = 127 + 120 * np.sin(x / 5 + seed) * np.cos(y / 7)
    g = 255 * x / w
    b = 255 * y / h
    a = np.stack([r, g, b], -1)
    a[h // 4 : h // 2, w // 3 : w // 2] = (230, 30, 60)
    a += rng.normal(0, 6, a.shape)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def save(image, **options):
    f = io.BytesIO()
    image.save(f, **options)
    return f.getvalue()


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e.tobytes()


def files():
    p = picture(61, 45)
    grey = p.convert("L")
    alpha = p.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 61).astype(np.uint8), (45, 1))))
    jpeg = dict(format="JPEG", quality=85)
    yield "baseline_444.jpg", save(p, subsampling="4:4:4", **jpeg)
    yield "baseline_422.jpg", save(p, subsampling="4:2:2", **jpeg)
    yield "baseline_420.jpg", save(p, subsampling="4:2:0", **jpeg)
    yield "baseline_440.jpg", save(p.transpose(Image.Transpose.ROTATE_90), subsampling="4:2:2", exif=exif(6), **jpeg)
    yield "restart_420.jpg", save(p, subsampling="4:2:0", restart_marker_blocks=3, **jpeg)
    yield "large_420.jpg", save(picture(253, 187, 3), subsampling="4:2:0", **jpeg)
    yield "large_422.jpg", save(picture(253, 187, 4), subsampling="4:2:2", **jpeg)
    yield "progressive_420.jpg", save(picture(253, 187, 5), subsampling="4:2:0", progressive=True, **jpeg)
    yield "progressive_444.jpg", save(p, subsampling="4:4:4", progressive=True, **jpeg)
    yield "grey.jpg", save(grey, **jpeg)
    yield "grey_progressive.jpg", save(grey, progressive=True, **jpeg)
    yield "cmyk.jpg", save(p.convert("CMYK"), **jpeg)
    yield "rgb.jpg", save(p, keep_rgb=True, **jpeg)
    yield "narrow.jpg", save(picture(3, 40), subsampling="4:2:0", **jpeg)
    yield "pixel.jpg", save(picture(1, 1), subsampling="4:2:0", **jpeg)
    for o in range(1, 9):
        yield f"orientation_{o}.jpg", save(p, subsampling="4:2:0", exif=exif(o), **jpeg)
    png = dict(format="PNG")
    yield "rgb8.png", save(p, **png)
    yield "rgba8.png", save(alpha, **png)
    yield "grey8.png", save(grey, **png)
    yield "grey_alpha8.png", save(alpha.convert("LA"), **png)
    yield "grey1.png", save(grey.convert("1"), **png)
    yield "palette.png", save(p.quantize(17), **png)
    yield "palette_transparent.png", save(p.quantize(17), transparency=3, **png)
    yield "rgb_transparent.png", save(p, transparency=p.getpixel((4, 4)), **png)
    yield "grey16.png", save(Image.fromarray((np.asarray(grey).astype(np.uint16) * 251 + 17)), **png)
    webp = dict(format="WEBP")
    yield "lossy.webp", save(p, quality=80, **webp)
    yield "lossy_alpha.webp", save(alpha, quality=80, exact=True, **webp)
    yield "lossless.webp", save(p, lossless=True, **webp)
    yield "lossless_alpha.webp", save(alpha, lossless=True, exact=True, **webp)
    yield "plain.gif", save(p.quantize(32), format="GIF")
    yield "moving.gif", save(p.quantize(32), format="GIF", save_all=True, append_images=[picture(61, 45, 9).quantize(32)], transparency=5)
    yield "rgb.bmp", save(p, format="BMP")
    yield "palette.bmp", save(p.quantize(32), format="BMP")
    yield "bits.bmp", save(grey.convert("1"), format="BMP")


def pixels(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I;16"):
        # Pillow clips 16 bits at 255; the upper eight are what is meant.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


SIDE = 48
PREPARED = ("large_420.jpg", "large_422.jpg", "progressive_420.jpg", "orientation_6.jpg", "grey.jpg", "rgb8.png")


def prepared(image):
    """The ways to one size; the names say the parameters to the Go test."""
    w, h = image.size
    yield "short54", F.center_crop(F.resize(image, 54), SIDE)
    yield "short48", F.center_crop(F.resize(image, 48), SIDE)
    n = min(w, h)
    yield "middle", F.resize(image.crop(((w - n) // 2, (h - n) // 2, (w - n) // 2 + n, (h - n) // 2 + n)), SIDE)
    for x, y, cw, ch in ((3, 5, w // 2, h // 3), (w // 5, h // 4, w * 3 // 4, h * 2 // 3), (7, 1, 20, 30)):
        yield f"crop_{x}_{y}_{cw}_{ch}", F.resized_crop(image, y, x, ch, cw, [SIDE, SIDE])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    bad = 0
    for name, data in files():
        path, want = OUT / name, OUT / "pixels" / (name + ".png")
        if args.check:
            for kind, image in prepared(pixels(data)) if name in PREPARED else ():
                if (np.asarray(image) != np.asarray(Image.open(OUT / "prepared" / f"{name}.{kind}.png"))).any():
                    print(f"{name}: {kind} differs")
                    bad += 1
            d = np.abs(np.asarray(pixels(path.read_bytes())).astype(int) - np.asarray(Image.open(want)).astype(int))
            if d.max() > 0:
                print(f"{name}: differs by {d.max()}")
                bad += 1
            continue
        for kind, image in prepared(pixels(data)) if name in PREPARED else ():
            (OUT / "prepared").mkdir(parents=True, exist_ok=True)
            image.save(OUT / "prepared" / f"{name}.{kind}.png", optimize=True)
        want.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        pixels(data).save(want, optimize=True)
    if args.check:
        print("decode: all as Pillow decodes them" if not bad else f"decode: {bad} files differ")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
