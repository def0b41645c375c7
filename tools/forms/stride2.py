from harness import *
from forward import dgrad, blk, unblk, B


def nsub4(dy, w, inter="concat"):
    O, I, k, _ = w.shape
    N, _, h, W = dy.shape
    g = G()
    R = g.reshape
    Wn = g.inp("w", w)
    D = g.inp("dyb", blk(dy))
    kk = {(0, 0): 1, (1, 0): 2, (1, 1): 0}
    ys = {}
    for ph in (0, 1):
        for pw in (0, 1):
            th = [0] if ph == 0 else [0, 1]
            tw = [0] if pw == 0 else [0, 1]
            ix = [kk[ph, a] * 3 + kk[pw, b] for a in th for b in tw]
            T = len(ix)
            f = g.op("Gather", R(Wn, [O, I, 9]), g.i(ix), axis=2)
            f = R(
                g.op("Transpose", R(f, [O // B, B, I // B, B, T]), perm=[2, 0, 4, 1, 3]),
                [I, O, len(th), len(tw)],
            )
            ys[ph, pw] = g.nc(
                "Conv", D, f, kernel_shape=[len(th), len(tw)], pads=[0, 0, len(th) - 1, len(tw) - 1]
            )
    Ib = I // B
    if inter == "concat":
        r = [
            g.op("Concat", R(ys[ph, 0], [N * Ib * h * W, B]), R(ys[ph, 1], [N * Ib * h * W, B]), axis=1)
            for ph in (0, 1)
        ]
        y = g.op("Concat", R(r[0], [N * Ib * h, W * 2 * B]), R(r[1], [N * Ib * h, W * 2 * B]), axis=1)
    else:
        c = g.op(
            "Concat", *[R(ys[p], [1, N * Ib * h * W, B]) for p in ((0, 0), (0, 1), (1, 0), (1, 1))], axis=0
        )
        ix = (
            np.arange(4 * N * Ib * h * W, dtype=np.int32)
            .reshape(2, 2, N, Ib, h, W)
            .transpose(2, 3, 4, 0, 5, 1)
            .reshape(-1)
        )
        y = g.op("Gather", R(c, [4 * N * Ib * h * W, B]), g.c(ix), axis=0)
    g.out(R(y, [N, I, 2 * h, 2 * W]))
    return g


def nsubg(dy, w, mode="g"):
    O, I, k, _ = w.shape
    N, _, h, W = dy.shape
    g = dgrad(dy, w, 2, "nsub")
    # replace last Transpose by gather
    t = g.nodes[-2]
    src = g.nodes[-3].input[0]
    g.nodes = g.nodes[:-3]
    Ib = I // B
    g.outs = []
    if mode == "g":
        ix = (
            np.arange(N * 4 * Ib * h * W, dtype=np.int32)
            .reshape(N, 2, 2, Ib, h, W)
            .transpose(0, 3, 4, 1, 5, 2)
            .reshape(-1)
        )
        y = g.op("Gather", g.reshape(src, [N * 4 * Ib * h * W, B]), g.c(ix), axis=0)
    g.out(g.reshape(y, [N, I, 2 * h, 2 * W]))
    return g


def zins(dy, w):  # zero insertion + conv stride 1 ; dilated via nchwc Upsample?
    O, I, k, _ = w.shape
    N, _, h, W = dy.shape
    g = G()
    R = g.reshape
    Wn = g.inp("w", w)
    D = g.inp("dyb", blk(dy))
    Ob = O // B
    from forward import wblkT

    z = g.c(np.zeros((N * Ob * h * W, B), np.float32))
    a = g.op("Concat", R(D, [N * Ob * h * W, B]), z, axis=1)
    z2 = g.c(np.zeros((N * Ob * h, 2 * W * B), np.float32))
    a = g.op("Concat", R(a, [N * Ob * h, 2 * W * B]), z2, axis=1)
    g.out(
        g.nc(
            "Conv", R(a, [N, O, 2 * h, 2 * W]), wblkT(g, Wn, O, I, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        )
    )
    return g


for N, I, O, H in [
    (128, 16, 32, 32),
    (128, 32, 64, 16),
    (64, 64, 128, 32),
    (64, 128, 256, 16),
    (64, 256, 512, 8),
]:
    w = (rng.standard_normal((O, I, 3, 3)) / 10).astype(np.float32)
    dy = rng.standard_normal((N, O, H // 2, H // 2), dtype=np.float32)
    r = dgrad(dy, w, 2, "ct").session().run(None, dict(w=w, dy=dy))[0]
    for f in (lambda: nsub4(dy, w), lambda: nsub4(dy, w, "g"), lambda: nsubg(dy, w), lambda: zins(dy, w)):
        g = f()
        print("%.1e" % rel(unblk(g.session().run(None, g.feeds)[0]), r), end=" ")
    bench(
        f"dgrad s2 {I}->{O} {H}",
        [
            ("ct", lambda: dgrad(dy, w, 2, "ct")),
            ("nsub transp", lambda: dgrad(dy, w, 2, "nsub")),
            ("nsub gather", lambda: nsubg(dy, w)),
            ("nsub4 concat", lambda: nsub4(dy, w)),
            ("nsub4 gather", lambda: nsub4(dy, w, "g")),
            ("zero-insert", lambda: zins(dy, w)),
        ],
        check=False,
        runs=21,
        flops=2 * 9 * N * (H // 2) ** 2 * I * O,
    )
