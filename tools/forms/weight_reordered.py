from harness import *
import weight_plain as wg1
from weight_plain import ref_wg, rng, setup
from forward import blk, B


def dil(x, dy, pads=True):  # plain Conv: x NHWC as [1,N,H,W*C], filter dy [O,N,H,W], dilation C
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    xv = g.reshape(g.op("Transpose", X, perm=[0, 2, 3, 1]), [1, N, H, W * C])
    r = g.op(
        "Conv",
        xv,
        g.op("Transpose", D, perm=[1, 0, 2, 3]),
        kernel_shape=[H, W],
        dilations=[1, C],
        pads=[1, C, 1, C],
    )  # [1,O,3,3C]
    g.out(g.op("Transpose", g.reshape(r, [O, 3, 3, C]), perm=[0, 3, 1, 2]))
    return g


def dil_fb(x, dy):  # plain Conv from blocked layouts
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    X = g.inp("x", blk(x))
    D = g.inp("dy", blk(dy))
    Cb = C // B
    Ob = O // B
    dt = g.reshape(g.op("Transpose", g.reshape(D, [N, Ob, H * W, B]), perm=[1, 3, 0, 2]), [O, N, H, W])
    if Cb == 1:
        xv = g.reshape(X, [1, N, H, W * C])
    else:
        xv = g.reshape(
            g.op("Transpose", g.reshape(X, [N, Cb, H * W, B]), perm=[0, 2, 1, 3]), [1, N, H, W * C]
        )
    r = g.op("Conv", xv, dt, kernel_shape=[H, W], dilations=[1, C], pads=[1, C, 1, C])
    g.out(g.op("Transpose", g.reshape(r, [O, 3, 3, C]), perm=[0, 3, 1, 2]))
    return g


def dil_batch(x, dy):  # plain Conv, batch = Cb
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    X = g.inp("x", blk(x))
    D = g.inp("dy", blk(dy))
    Cb = C // B
    Ob = O // B
    dt = g.reshape(g.op("Transpose", g.reshape(D, [N, Ob, H * W, B]), perm=[1, 3, 0, 2]), [O, N, H, W])
    xv = g.reshape(X, [N, Cb, H * W * B])
    if Cb > 1:
        xv = g.op("Transpose", xv, perm=[1, 0, 2])
    r = g.op(
        "Conv", g.reshape(xv, [Cb, N, H, W * B]), dt, kernel_shape=[H, W], dilations=[1, B], pads=[1, B, 1, B]
    )
    g.out(g.reshape(g.op("Transpose", g.reshape(r, [Cb, O, 3, 3, B]), perm=[1, 0, 4, 2, 3]), [O, C, 3, 3]))
    return g


def ncw(x, dy, pad=True, ord="batch"):  # nchwc conv over N-blocked
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    X = g.inp("x", blk(x))
    D = g.inp("dy", blk(dy))
    Cb = C // B
    Ob = O // B
    Nb = N // B
    f = g.reshape(g.op("Transpose", g.reshape(D, [Nb, B, Ob, H * W, B]), perm=[2, 0, 3, 1, 4]), [O, N, H, W])
    if ord == "batch":
        if pad:
            X = g.op("Pad", g.reshape(X, [N, Cb, H, W * B]), g.i([0, 0, 0, B, 0, 0, 0, B]))
        Wp = W + 2 if pad else W
        xv = g.reshape(X, [Nb, B, Cb, H * Wp * B])
        xv = (
            g.op("Transpose", xv, perm=[2, 0, 3, 1])
            if Cb > 1
            else g.op("Transpose", g.reshape(xv, [Nb, B, H * Wp * B]), perm=[0, 2, 1])
        )
        r = g.nc(
            "Conv",
            g.reshape(xv, [Cb, N, H, Wp * B]),
            f,
            kernel_shape=[H, W],
            dilations=[1, B],
            pads=[1, 0 if pad else B] * 2,
        )  # [Cb,Ob,3,3*16c,16o]
        g.out(
            g.reshape(g.op("Transpose", g.reshape(r, [Cb, Ob, 9, B, B]), perm=[1, 4, 0, 3, 2]), [O, C, 3, 3])
        )
    elif ord == "tpad":
        xv = g.reshape(X, [Nb, B, Cb, H * W * B])
        xv = (
            g.op("Transpose", xv, perm=[2, 0, 3, 1])
            if Cb > 1
            else g.op("Transpose", g.reshape(xv, [Nb, B, H * W * B]), perm=[0, 2, 1])
        )
        xv = g.op("Pad", g.reshape(xv, [Cb * Nb, H, W * B * B]), g.i([0, 0, B * B, 0, 0, B * B]))
        r = g.nc(
            "Conv",
            g.reshape(xv, [Cb, N, H, (W + 2) * B]),
            f,
            kernel_shape=[H, W],
            dilations=[1, B],
            pads=[1, 0, 1, 0],
        )
        g.out(
            g.reshape(g.op("Transpose", g.reshape(r, [Cb, Ob, 9, B, B]), perm=[1, 4, 0, 3, 2]), [O, C, 3, 3])
        )
    return g


def ro(f, x, dy):  # blocked inputs -> reorder -> NCHW form
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = f(x, dy)
    g.feeds = {"x": blk(x), "dy": blk(dy)}
    for n in g.nodes:
        for i, v in enumerate(n.input):
            if v in ("x", "dy"):
                n.input[i] = v + "r"
    g.nodes = [
        oh.make_node("ReorderOutput", ["x"], ["xr"], domain="com.microsoft.nchwc", channels=C),
        oh.make_node("ReorderOutput", ["dy"], ["dyr"], domain="com.microsoft.nchwc", channels=O),
    ] + g.nodes
    return g


from weight_more import c2


def part(x, dy, what):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    Cb = C // B
    Ob = O // B
    Nb = N // B
    if what == "xT":
        X = g.inp("x", blk(x))
        xv = g.reshape(X, [Nb, B, Cb, H * W * B])
        g.out(
            g.op("Transpose", xv, perm=[2, 0, 3, 1])
            if Cb > 1
            else g.op("Transpose", g.reshape(xv, [Nb, B, H * W * B]), perm=[0, 2, 1])
        )
    if what == "dyF":
        g.out(g.op("Transpose", g.reshape(g.inp("dy", blk(dy)), [Nb, B, Ob, H * W, B]), perm=[2, 0, 3, 1, 4]))
    if what == "dyT":
        g.out(g.op("Transpose", g.reshape(g.inp("dy", blk(dy)), [N, Ob, H * W, B]), perm=[1, 3, 0, 2]))
    if what == "pad":
        g.out(g.op("Pad", g.reshape(g.inp("x", blk(x)), [N, Cb, H, W * B]), g.i([0, 0, 0, B, 0, 0, 0, B])))
    if what == "conv":
        X = g.inp("x", rng.standard_normal((Cb, N, H, (W + 2) * B), dtype=np.float32))
        f = g.inp("dy", dy.transpose(1, 0, 2, 3))
        g.out(g.nc("Conv", X, f, kernel_shape=[H, W], dilations=[1, B], pads=[1, 0, 1, 0]))
    return g


if __name__ == "__main__":
    L = [(128, 16, 16, 32), (128, 32, 32, 16), (128, 64, 64, 8)]
    if len(sys.argv) > 1:
        L = eval(sys.argv[1])
    for N, C, O, H in L:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32)
        d = rng.standard_normal((N, O, H, H), dtype=np.float32)
        F = [
            ("NCHW: skew d, x cc", lambda: wg1.skewd(x, d)),
            ("NCHW: c2 tskew", lambda: c2(x, d, "tskew")),
            ("NCHW: dilated conv", lambda: dil(x, d)),
            ("blocked: RO + skew", lambda: ro(wg1.skewd, x, d)),
            ("blocked: RO + c2 tskew", lambda: ro(lambda a, b: c2(a, b, "tskew"), x, d)),
            ("blocked: dil", lambda: dil_fb(x, d)),
            ("blocked: dil batch", lambda: dil_batch(x, d)),
            ("blocked: nchwc pad", lambda: ncw(x, d)),
            ("blocked: nchwc nopad", lambda: ncw(x, d, False)),
            ("blocked: nchwc tpad", lambda: ncw(x, d, ord="tpad")),
        ]
        F += [("part " + p, lambda p=p: part(x, d, p)) for p in ("xT", "dyF", "dyT", "pad", "conv")]
        bench(f"wgrad {C}->{O} {H} B{N}", F, ref=[ref_wg(x, d)], flops=2 * 9 * N * H * H * C * O)
