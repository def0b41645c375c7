"""Writes testdata/golden/pixels_torchvision.csv: every operation of torchvision's
AutoAugment, RandAugment, TrivialAugmentWide and AugMix at every level and sign, on
Pillow images by formula (images.py).

    .venv/bin/python tools/parity/pixels/golden_torchvision.py            # writes
    .venv/bin/python tools/parity/pixels/golden_torchvision.py --check    # compares

One row for each space, operation, level and sign: the CRC-32 of all images' results in
turn. AugMix reads bilinearly, the others the nearest pixel; the fill is black.
"""

import argparse
import os
import sys
import zlib

import PIL
import torchvision
from torchvision.transforms import InterpolationMode, autoaugment as aa

sys.path.insert(0, os.path.dirname(__file__))
import images  # noqa: E402

OUT = os.path.join(os.path.dirname(__file__), "../../../testdata/golden/pixels_torchvision.csv")
IMAGES = ["noise.32x32x3", "photo.33x17x3", "photo.32x32x1", "noise.1x1x3", "photo.64x48x3"]
NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR
SPACES = {
    "autoaugment": (lambda h, w: aa.AutoAugment()._augmentation_space(10, (h, w)), NEAREST),
    "randaugment": (lambda h, w: aa.RandAugment()._augmentation_space(31, (h, w)), NEAREST),
    "wide": (lambda h, w: aa.TrivialAugmentWide()._augmentation_space(31), NEAREST),
    "augmix": (lambda h, w: aa.AugMix()._augmentation_space(10, (h, w)), BILINEAR),
}


def rows():
    ims = [images.parse(n) for n in IMAGES]
    for space, (at, interpolation) in SPACES.items():
        for op, (levels, signed) in at(32, 32).items():
            n = len(levels) if levels.ndim else 1
            for i in range(n):
                if space in ("randaugment", "wide") and i % 3 and i != n - 1:
                    continue
                for sign in (1, -1) if signed else (1,):
                    crc, refused = 0, False
                    for im in ims:
                        v = at(im.height, im.width)[op][0]
                        v = sign * (float(v[i]) if v.ndim else 0.0)
                        if op == "Posterize" and v < 1:
                            refused = True  # Pillow 13 refuses 0 bits, which AugMix's space has
                            break
                        crc = zlib.crc32(aa._apply_op(im, op, v, interpolation, None).tobytes(), crc)
                    if not refused:
                        yield f"{space},{op},{i},{'-' if sign < 0 else '+'},{crc:08x}"


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--check", action="store_true")
    check = args.parse_args().check
    text = "\n".join([f"# Pillow {PIL.__version__}, torchvision {torchvision.__version__.split('+')[0]}; tools/parity/pixels/golden_torchvision.py",
                      "# images in turn: " + " ".join(IMAGES), "space,operation,level,sign,crc32", *rows()]) + "\n"
    if check:
        if open(OUT).read() != text:
            sys.exit("golden_torchvision.py: the committed file differs")
        return
    with open(OUT, "w") as f:
        f.write(text)
    print(text.count("\n"), "lines", len(text), "bytes")


main()
