"""Images by formula, the same in Go (tricks/pixel/pil/golden_test.go).

Byte i of the image NAME is taken from word i of the stream NAME (tools/parity/formula.py):

    noise  word >> 56
    photo  40 + (5x + 3y + 40c) mod 128 + (word >> 59)     smooth, low contrast, some noise
    dark   (word >> 56) mod 3                              three levels, unevenly few
    flat   17 + 60c                                        one level a channel
"""

import os
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import formula  # noqa: E402

KINDS = ("noise", "photo", "dark", "flat")


def pixels(kind, w, h, c):
    n = w * h * c
    word = formula.words(f"{kind}.{w}x{h}x{c}", n)
    i = np.arange(n)
    ch, x, y = i % c, i // c % w, i // c // w
    if kind == "noise":
        v = word >> np.uint64(56)
    elif kind == "photo":
        v = 40 + (5 * x + 3 * y + 40 * ch) % 128 + (word >> np.uint64(59)).astype(int)
    elif kind == "dark":
        v = (word >> np.uint64(56)) % np.uint64(3)
    else:
        v = 17 + 60 * ch
    return v.astype(np.uint8).reshape(h, w, c)


def image(kind, w, h, c):
    a = pixels(kind, w, h, c)
    return Image.fromarray(a[:, :, 0], "L") if c == 1 else Image.fromarray(a, "RGB")


def parse(name):
    """photo.33x17x3 → an image."""
    kind, size = name.split(".")
    return image(kind, *map(int, size.split("x")))
