from weight_blocked import *
from forward import fwd, dgrad
import forward as fw1

for N, C, O, H, s in [
    (64, 64, 64, 32, 1),
    (64, 128, 128, 16, 1),
    (64, 256, 256, 8, 1),
    (64, 512, 512, 4, 1),
    (64, 64, 128, 32, 2),
    (64, 256, 512, 8, 2),
]:
    x = rng.standard_normal((N, C, H, H), dtype=np.float32)
    d = rng.standard_normal((N, O, H // s, H // s), dtype=np.float32)
    fl = 2 * 9 * N * (H // s) ** 2 * C * O
    w = (rng.standard_normal((O, C, 3, 3)) / np.sqrt(9 * C)).astype(np.float32)
    F = [("W1 g1", lambda: form(x, d, s, grp=1)), ("W1 g2", lambda: form(x, d, s, grp=2))]
    F += (
        [("RO c2 tskew", lambda: ro(lambda a, b: c2(a, b, "tskew"), x, d))]
        if s == 1
        else [("RO conv3d dil", lambda: ro(wg2.s2conv3d, x, d))]
    )
    F += [("fwd plain", lambda: fwd(x, w, s, "plain")), ("fwd nc", lambda: fwd(x, w, s, "nc"))]
    F += (
        [("dgrad flip", lambda: dgrad(d, w, s, "flip")), ("dgrad nc", lambda: dgrad(d, w, s, "nc"))]
        if s == 1
        else [("dgrad ct", lambda: dgrad(d, w, s, "ct")), ("dgrad nsub", lambda: dgrad(d, w, s, "nsub"))]
    )
    bench(f"{C}->{O} {H} s{s} B{N}", F, flops=fl, runs=21, check=False)
