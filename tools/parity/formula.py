"""Inputs of the goldens by formula, so that only results need storing.

Everything is drawn from named streams of 64-bit words that any language can
repeat exactly (Go: hash/fnv and a few lines of integer arithmetic):

    seed(name)    = FNV-1a, 64 bits, of the name's bytes
    word(name, i) = splitmix64 finaliser of seed + (i+1)·0x9E3779B97F4A7C15:
                    z ^= z>>30; z *= 0xBF58476D1CE4E5B9
                    z ^= z>>27; z *= 0x94D049BB133111EB
                    z ^= z>>31                    (all modulo 2^64)
    draw(name, i) = (word >> 40)·2^-23 − 1        in [-1, 1), exact in float32

Tensors are filled in row-major order, i the flat index. Products are computed
in float64 and rounded once to float32:

    conv and linear weights   draw(name)·sqrt(6/fan_in)     fan_in = in·kh·kw
    linear.bias               draw(name)·0.1
    norm weights              1 + draw(name)·0.25
      … named …bn2.weight     (1 + draw(name)·0.25)·0.25
    norm biases               draw(name)·0.1
    running_mean              draw(name)·0.1
    running_var               1 + draw(name)·0.25

(name is the state's own name, such as layer1.0.conv1.weight. The small scale of
each block's second norm keeps 20 steps of training well conditioned: with scale
1 two float32 implementations drift apart by percents within 20 steps.)

Step t (0, 1, …) of the golden with salt S has these targets and images; row n of B, class k of K = 10:

    a = word("targets.t", 3n) mod K
    b = (a + 1 + word("targets.t", 3n+1) mod (K−1)) mod K
    m = 472 + word("targets.t", 3n+2) mod 401
    target[n] = (8 + (m at a) + (944−m at b)) / 1024      sums to one exactly
    image[n,c,y,x] = draw("images.S.t", flat index)·0.5 + draw("pattern.a", (c·4 + y/8)·4 + x/8)

with the sum taken in float64 and rounded to float32: noise over a coarse
pattern of class a. The salt is chosen so that at step 0 no ReLU's input lies so
near zero that float32 rounding could switch it (golden_resnet20.py --search): one switched
unit alone moves a gradient by more than the tolerance.
"""

import hashlib

import numpy as np

GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def seed(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def words(name, n):
    """The first n words of a stream, uint64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def draws(name, shape):
    """The first values of a stream in [-1, 1), float64 (exact in float32)."""
    w = words(name, int(np.prod(shape)))
    return ((w >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1).reshape(shape)


def state_tensor(name, shape):
    """Initial value of one parameter or running statistic, float32."""
    v = draws(name, shape)
    if len(shape) > 1:
        v = v * np.sqrt(6.0 / np.prod(shape[1:]))
    elif name.endswith((".running_var", ".weight")):
        v = 1 + v * 0.25
        if name.endswith("bn2.weight"):
            v = v * 0.25
    else:
        v = v * 0.1
    return v.astype(np.float32)


def batch(salt, step, n, classes=10, size=32):
    """Images n×3×size×size and soft targets n×classes of one step, float32."""
    w = words(f"targets.{step}", 3 * n).reshape(n, 3)
    a = (w[:, 0] % np.uint64(classes)).astype(np.int64)
    b = (a + 1 + (w[:, 1] % np.uint64(classes - 1)).astype(np.int64)) % classes
    m = 472 + (w[:, 2] % np.uint64(401)).astype(np.int64)
    targets = np.full((n, classes), 8, np.int64)
    rows = np.arange(n)
    targets[rows, a] += m
    targets[rows, b] += 944 - m
    patterns = np.stack([draws(f"pattern.{k}", (3, 4, 4)) for k in range(classes)])
    coarse = patterns[a].repeat(size // 4, 2).repeat(size // 4, 3)
    images = draws(f"images.{salt}.{step}", (n, 3, size, size)) * 0.5 + coarse
    return images.astype(np.float32), (targets / 1024).astype(np.float32)


def digest(arrays):
    """SHA-256 of the arrays' little-endian float32 bytes, one after another."""
    h = hashlib.sha256()
    for a in arrays:
        h.update(np.ascontiguousarray(a, "<f4").tobytes())
    return h.hexdigest()
