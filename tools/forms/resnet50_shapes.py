from weight_blocked import *
from forward import fwd, dgrad


def stem7(x, dy, how):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g = G()
    R = g.reshape
    Nb = N // B
    Ob = O // B
    if how == "facts":  # big conv dil 2
        D = g.nc("ReorderOutput", g.inp("dy", blk(dy)), channels=O)
        r = g.op(
            "Conv",
            g.op("Transpose", g.inp("x", x), perm=[1, 0, 2, 3]),
            g.op("Transpose", D, perm=[1, 0, 2, 3]),
            dilations=[2, 2],
            pads=[3, 3, 2, 2],
        )
        g.out(g.op("Transpose", r, perm=[1, 0, 2, 3]))
        return g
    v = R(g.inp("x", x), [N, C * H, W])
    if how == "pad":
        v = g.op("Pad", v, g.i([0, 0, 3, 0, 0, 2]))
    Wp = W + 5 if how == "pad" else W
    v = g.nc("ReorderInput", R(v, [1, N, C * H, Wp]))
    v = R(g.op("Transpose", R(v, [Nb, C, H * Wp * B]), perm=[1, 0, 2]), [C, N, H, Wp])
    idx = (
        np.arange(N * Ob * h * w, dtype=np.int32).reshape(Nb, B, Ob, h * w).transpose(2, 0, 3, 1).reshape(-1)
    )
    f = R(g.op("Gather", R(g.inp("dy", blk(dy)), [N * Ob * h * w, B]), g.c(idx), axis=0), [O, N, h, w])
    y = g.nc(
        "Conv",
        v,
        f,
        kernel_shape=[h, w],
        dilations=[2, 2],
        pads=[3, 0, 2, 0] if how == "pad" else [3, 3, 2, 2],
    )
    g.out(R(g.op("Transpose", R(y, [C, Ob, 49, B]), perm=[1, 3, 0, 2]), [O, C, 7, 7]))
    return g


def stem7f(x, w, how):
    O, I, k, _ = w.shape
    g = G()
    X = g.inp("x", x)
    W_ = g.inp("w", w)
    from forward import wblk

    if how == "plain":
        g.out(g.op("Conv", X, W_, strides=[2, 2], pads=[3] * 4))
    else:
        g.out(g.nc("Conv", X, wblk(g, W_, O, I, 7), kernel_shape=[7, 7], strides=[2, 2], pads=[3] * 4))
    return g


N = 16
x = rng.standard_normal((N, 3, 224, 224), dtype=np.float32)
d = rng.standard_normal((N, 64, 112, 112), dtype=np.float32)
w = rng.standard_normal((64, 3, 7, 7)).astype(np.float32)
bench(
    "stem 7x7 B16",
    [
        ("wg facts", lambda: stem7(x, d, "facts")),
        ("wg nchwc pad", lambda: stem7(x, d, "pad")),
        ("wg nchwc", lambda: stem7(x, d, "n")),
    ],
    runs=5,
    flops=2 * N * 112 * 112 * 147 * 64,
)
bench(
    "stem 7x7 fwd",
    [("fwd plain", lambda: stem7f(x, w, "plain")), ("fwd nc", lambda: stem7f(x, w, "nc"))],
    runs=7,
    check=False,
    flops=2 * N * 112 * 112 * 147 * 64,
)
for N, C, O, H, s in [
    (16, 64, 64, 56, 1),
    (16, 128, 128, 28, 1),
    (16, 256, 256, 14, 1),
    (16, 512, 512, 7, 1),
    (32, 256, 256, 14, 1),
    (32, 512, 512, 7, 1),
    (16, 128, 128, 56, 2),
]:
    x = rng.standard_normal((N, C, H, H), dtype=np.float32)
    d = rng.standard_normal((N, O, H // s, H // s), dtype=np.float32)
    fl = 2 * 9 * N * (H // s) ** 2 * C * O
    w = (rng.standard_normal((O, C, 3, 3)) / np.sqrt(9 * C)).astype(np.float32)
    F = [("W1 g1", lambda: form(x, d, s, grp=1))]
    F += (
        [
            ("RO c2 tskew", lambda: ro(lambda a, b: c2(a, b, "tskew"), x, d)),
            ("RO skew", lambda: ro(wg1.skewd, x, d)),
        ]
        if s == 1
        else [("RO conv3d dil", lambda: ro(wg2.s2conv3d, x, d))]
    )
    F += [("fwd plain", lambda: fwd(x, w, s, "plain")), ("fwd nc", lambda: fwd(x, w, s, "nc"))]
    F += (
        [("dgrad flip", lambda: dgrad(d, w, s, "flip")), ("dgrad nc", lambda: dgrad(d, w, s, "nc"))]
        if s == 1
        else [("dgrad ct", lambda: dgrad(d, w, s, "ct"))]
    )
    bench(f"{C}->{O} {H} s{s} B{N}", F, flops=fl, runs=11, check=False)
