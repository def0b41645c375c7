from harness import *
import weight_plain as wg1, weight_more as wg2
from weight_plain import ref_wg, rng
from weight_more import ref2
from forward import blk, B
from weight_reordered import ro
from weight_more import c2


def emit(g, X, D, N, C, H, W, O, s=1, k=3, grp=None, bands=1, dymode="gather", cat="after", fin=True):
    """X blocked x [N,C,H,W], D blocked dy [N,O,H/s,W/s] -> dW OIHW (or blocked). N%16==0, C%16==0,O%16==0, pad k//2, s in 1,2"""
    R = g.reshape
    Cb, Ob, Nb = C // B, O // B, N // B
    h, w = H // s, W // s
    p = k // 2
    if grp is None:
        grp = 2 if Cb == 1 and Ob <= 4 and Nb % 2 == 0 else 1
    v = R(X, [N, Cb, H * W * B])
    if Cb > 1:
        v = g.op("Transpose", v, perm=[1, 0, 2])
    l, r = (p, (p if s == 1 else max(0, p - 1)))

    def z(n, c):
        return g.c(np.zeros((Cb * Nb, H, c * B * B), np.float32))

    v = g.nc("ReorderInput", R(v, [Cb, N, H, W * B]))
    if p:
        v = R(v, [Cb * Nb, H, W * B * B])
        v = g.op("Concat", *([z(0, l), v] + ([z(0, r)] if r else [])), axis=2)
    v = R(v, [Cb, N, H, (W + l + r) * B])
    # filter: [grp,Ob,Nb/grp,h,w,16n,16o]
    idx = (
        np.arange(N * Ob * h * w, dtype=np.int32)
        .reshape(grp, Nb // grp, B, Ob, h * w)
        .transpose(0, 3, 1, 4, 2)
        .reshape(-1)
    )
    if dymode == "gather":
        f = g.op("Gather", R(D, [N * Ob * h * w, B]), g.c(idx), axis=0)
    else:
        f = g.op("Transpose", R(D, [grp, Nb // grp, B, Ob, h * w, B]), perm=[0, 3, 1, 4, 2, 5])
    f = R(f, [grp * O, N // grp, h, w])
    y = g.nc(
        "Conv",
        v,
        f,
        kernel_shape=[h, w],
        dilations=[s, s * B],
        pads=[p, 0, (p if s == 1 else max(0, p - 1)), 0],
        group=grp,
    )
    # y [Cb,grp*Ob,k,k*16c,16o]
    if grp > 1:
        y = g.op("ReduceSum", R(y, [Cb, grp, Ob * k * k * B * B]), g.i([1]), keepdims=0)
    y = g.op("Transpose", R(y, [Cb, Ob, k * k, B, B]), perm=[1, 4, 0, 3, 2])
    return R(y, [O, C, k, k])


def form(x, dy, s=1, k=3, **kw):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    g.out(emit(g, g.inp("x", blk(x)), g.inp("dy", blk(dy)), N, C, H, W, O, s, k, **kw))
    return g


def stem(x, dy):  # x NCHW [N,3,H,W], dy blocked; batch = C
    N, C, H, W = x.shape
    O = dy.shape[1]
    g = G()
    R = g.reshape
    Nb = N // B
    Ob = O // B
    v = g.op("Pad", R(g.inp("x", x), [N, C * H, W]), g.i([0, 0, 1, 0, 0, 1]))
    v = g.nc("ReorderInput", R(v, [1, N, C * H, W + 2]))  # [Nb,C,H,W+2,16]
    v = R(g.op("Transpose", R(v, [Nb, C, H * (W + 2) * B]), perm=[1, 0, 2]), [C, N, H, W + 2])
    idx = (
        np.arange(N * Ob * H * W, dtype=np.int32).reshape(Nb, B, Ob, H * W).transpose(2, 0, 3, 1).reshape(-1)
    )
    f = R(g.op("Gather", R(g.inp("dy", blk(dy)), [N * Ob * H * W, B]), g.c(idx), axis=0), [O, N, H, W])
    y = g.nc("Conv", v, f, kernel_shape=[H, W], pads=[1, 0, 1, 0])  # [C,Ob,3,3,16o]
    g.out(R(g.op("Transpose", R(y, [C, Ob, 9, B]), perm=[1, 3, 0, 2]), [O, C, 3, 3]))
    return g


def stemro(f, x, dy):
    g = f(x, dy)
    g.feeds["dy"] = blk(dy)
    for n in g.nodes:
        for i, v in enumerate(n.input):
            if v == "dy":
                n.input[i] = "dyr"
    g.nodes = [
        oh.make_node("ReorderOutput", ["dy"], ["dyr"], domain="com.microsoft.nchwc", channels=dy.shape[1])
    ] + g.nodes
    return g


if __name__ == "__main__":
    L = [
        (128, 3, 16, 32, 1),
        (128, 16, 16, 32, 1),
        (128, 32, 32, 16, 1),
        (128, 64, 64, 8, 1),
        (128, 16, 32, 32, 2),
        (128, 32, 64, 16, 2),
    ]
    if len(sys.argv) > 1:
        L = eval(sys.argv[1])
    for N, C, O, H, s in L:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32)
        d = rng.standard_normal((N, O, H // s, H // s), dtype=np.float32)
        if C < 16:
            F = [
                ("stem nchwc", lambda: stem(x, d)),
                ("RO skew", lambda: stemro(wg1.skewd, x, d)),
                ("RO conv2d3", lambda: stemro(wg1.conv2d3, x, d)),
                ("RO conv3d", lambda: stemro(wg1.conv3d, x, d)),
                ("RO d3", lambda: stemro(lambda a, b: wg1.negpad(a, b, "d3"), x, d)),
            ]
        elif s == 1:
            F = [
                ("blocked: RO + skew", lambda: ro(wg1.skewd, x, d)),
                ("blocked: RO + c2 tskew", lambda: ro(lambda a, b: c2(a, b, "tskew"), x, d)),
            ]
        else:
            F = [("RO conv3d dil", lambda: ro(wg2.s2conv3d, x, d)), ("RO s2d", lambda: ro(wg2.s2mm, x, d))]
        if C >= 16:
            for grp in (1, 2, 4):
                F.append((f"nchwc g{grp}", lambda grp=grp: form(x, d, s, grp=grp)))
            F.append(("nchwc g2 transp", lambda: form(x, d, s, grp=2, dymode="t")))
        bench(
            f"wgrad {C}->{O} {H} s{s} B{N}",
            F,
            ref=[ref_wg(x, d) if s == 1 else ref2(x, d)],
            flops=2 * 9 * N * (H // s) ** 2 * C * O,
            runs=15 if H * C < 2000 else 7,
        )
