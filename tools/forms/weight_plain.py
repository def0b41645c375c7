from harness import *


def ref_wg(x, dy):
    N, C, H, W = x.shape
    O = dy.shape[1]
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    r = np.zeros((O, C, 3, 3), np.float64)
    D = dy.transpose(1, 0, 2, 3).reshape(O, -1)
    for a in range(3):
        for b in range(3):
            r[:, :, a, b] = (
                D
                @ np.ascontiguousarray(xp[:, :, a : a + H, b : b + W].transpose(1, 0, 2, 3)).reshape(C, -1).T
            )
    return r


def setup(x, dy):
    g = G()
    return g, g.inp("x", x), g.inp("dy", dy)


def facts(x, dy):  # current form of the facts file
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    xp = g.op("Pad", X, g.i([0, 0, 0, 1, 0, 0, 0, 1]))
    xs = [g.reshape(g.op("Slice", xp, g.i([k]), g.i([k + W]), g.i([3])), [N, C, H * W]) for k in range(3)]
    xc = g.op("Concat", *xs, axis=1)  # N,3C,HW
    dp = g.op("Pad", D, g.i([0, 0, 1, 0, 0, 0, 1, 0]))
    # dW[a,b]=sum dy[h] x[h+a-1] ; shift dy: dys_a[h]=dy[h-(a-1)]  -> slice start 2-a
    ds = [
        g.reshape(g.op("Slice", dp, g.i([2 - a]), g.i([2 - a + H]), g.i([2])), [N, O, H * W])
        for a in range(3)
    ]
    dc = g.op("Concat", *ds, axis=1)
    m = g.ms("FusedMatMul", dc, xc, transB=1)  # N,3O,3C  (a,o),(b,c)
    r = g.op("ReduceSum", m, g.i([0]), keepdims=0)
    fin(g, r, O, C)
    return g


def fin(g, r, O, C):  # r [3a*O, 3b*C] -> [O,C,3,3]
    g.out(g.op("Transpose", g.reshape(r, [3, O, 3, C]), perm=[1, 3, 0, 2]))


def negpad(x, dy, mode, red="sum"):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    L = H * W
    xs = [g.op("Pad", X, g.i([0, 0, 0, 1, 0, 0, 0, -1])), X, g.op("Pad", X, g.i([0, 0, 0, -1, 0, 0, 0, 1]))]
    ds = [g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0])), D, g.op("Pad", D, g.i([0, 0, 1, 0, 0, 0, -1, 0]))]
    xs = [g.reshape(v, [N, C, L]) for v in xs]
    ds = [g.reshape(v, [N, O, L]) for v in ds]
    R = lambda m: g.op("ReduceSum", m, g.i([0]), keepdims=0)
    if mode == "cc":
        r = R(g.ms("FusedMatMul", g.op("Concat", *ds, axis=1), g.op("Concat", *xs, axis=1), transB=1))
        fin(g, r, O, C)
    elif mode == "d3":  # dy concat, x separate
        dc = g.op("Concat", *ds, axis=1)
        r = [R(g.ms("FusedMatMul", dc, v, transB=1)) for v in xs]  # [3O,C] each b
        r = g.op("Concat", *[g.reshape(v, [3, O, C, 1]) for v in r], axis=3)  # a,o,c,b
        g.out(g.op("Transpose", r, perm=[1, 2, 0, 3]))
    elif mode == "x3":
        xc = g.op("Concat", *xs, axis=1)
        r = [R(g.ms("FusedMatMul", v, xc, transB=1)) for v in ds]  # [O,3C] each a
        r = g.op("Concat", *[g.reshape(v, [1, O, 3, C]) for v in r], axis=0)
        g.out(g.op("Transpose", r, perm=[1, 3, 0, 2]))
    elif mode == "9":
        r = [R(g.ms("FusedMatMul", v, w, transB=1)) for v in ds for w in xs]
        r = g.op("Concat", *[g.reshape(v, [O, C, 1]) for v in r], axis=2)
        g.out(g.reshape(r, [O, C, 3, 3]))
    return g


def skewd(x, dy, xmode="cc"):
    # dy3 by one Concat with zero gaps
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    L = H * W
    z = lambda n: g.c(np.zeros((N, O, n), np.float32))
    d = g.reshape(D, [N, O, L])
    # row j has length L+2W?  keep K=L: rows: a=0: dy shifted up: dy[W:],z(W); a=1 dy; a=2: z(W), dy[:-W]
    R = L + W  # row length; x gets W zeros at end
    # row0: [dy] placed s.t. shift -W relative; use x offset: x placed at [W? ...]
    # place dy in row a at offset a*W ; x at offset W ; row length L+2W
    R = L + 2 * W
    # stream: dy | gap to R+W | dy | gap | dy | end 3R
    cat = g.op("Concat", d, z(R + W - L), d, z(R + W - L), d, axis=2)  # end = 2R+2W+L=3R ok
    d3 = g.reshape(cat, [N, O * 3, R])  # (o,a)
    xp = [[0, 0, 1, 1, 0, 0, 1, -1], [0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 1, -1, 0, 0, 1, 1]]
    xs = [g.reshape(g.op("Pad", X, g.i(p)), [N, C, R]) for p in xp]
    Rd = lambda m: g.op("ReduceSum", m, g.i([0]), keepdims=0)
    if xmode == "cc":
        r = Rd(g.ms("FusedMatMul", d3, g.op("Concat", *xs, axis=1), transB=1))  # (o,a),(b,c)
        g.out(g.op("Transpose", g.reshape(r, [O, 3, 3, C]), perm=[0, 3, 1, 2]))
    else:
        r = [g.reshape(Rd(g.ms("FusedMatMul", d3, v, transB=1)), [O, 3, C, 1]) for v in xs]
        g.out(g.op("Transpose", g.op("Concat", *r, axis=3), perm=[0, 2, 1, 3]))
    return g


def skew_both(x, dy):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    P = W + 1
    L = H * P
    z = lambda c, n: g.c(np.zeros((N, c, n), np.float32))
    xp = g.reshape(g.op("Pad", X, g.i([0, 0, 0, 0, 0, 0, 0, 1])), [N, C, L])
    dp = g.reshape(g.op("Pad", D, g.i([0, 0, 0, 0, 0, 0, 0, 1])), [N, O, L])
    # common row length R=L+2P+2 ; dy row a at offset a*P + 1 ; x row b at offset P + (2-b)
    R = L + 2 * P + 2
    d3 = g.op(
        "Concat",
        z(O, 1),
        dp,
        z(O, R + P - L),
        dp,
        z(O, R + P - L),
        dp,
        z(O, 3 * R - (1 + 2 * (R + P) + L)),
        axis=2,
    )
    # x row b offset: P+2-b: stream b=0: P+2; b=1: R+P+1; b=2: 2R+P
    x3 = g.op(
        "Concat",
        z(C, P + 2),
        xp,
        z(C, R - 1 - L),
        xp,
        z(C, R - 1 - L),
        xp,
        z(C, 3 * R - (2 * R + P + L)),
        axis=2,
    )
    m = g.ms("FusedMatMul", g.reshape(d3, [N, 3 * O, R]), g.reshape(x3, [N, 3 * C, R]), transB=1)
    r = g.op("ReduceSum", m, g.i([0]), keepdims=0)
    g.out(g.op("Transpose", g.reshape(r, [O, 3, C, 3]), perm=[0, 2, 1, 3]))
    return g


def conv3d(x, dy):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    f = g.reshape(g.op("Transpose", D, perm=[1, 0, 2, 3]), [O, N, 1, H, W])
    g.out(
        g.reshape(
            g.op("Conv", g.reshape(X, [1, N, C, H, W]), f, kernel_shape=[1, H, W], pads=[0, 1, 1, 0, 1, 1]),
            [O, C, 3, 3],
        )
    )
    return g


def conv2d3(x, dy, swap=False, sep=False):
    # x as [1,N,C*H,W]; filters = 3 row-shifted dy [3O,N,H,W]
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    dt = g.op("Transpose", D, perm=[1, 0, 2, 3])
    ds = [
        g.op("Pad", dt, g.i([0, 0, -1, 0, 0, 0, 1, 0])),
        dt,
        g.op("Pad", dt, g.i([0, 0, 1, 0, 0, 0, -1, 0])),
    ]
    xv = g.reshape(X, [1, N, C * H, W])
    if not sep:
        r = g.op(
            "Conv", xv, g.op("Concat", *ds, axis=0), kernel_shape=[H, W], strides=[H, 1], pads=[0, 1, 0, 1]
        )  # [1,3O,C,3]
        g.out(g.op("Transpose", g.reshape(r, [3, O, C, 3]), perm=[1, 2, 0, 3]))
    else:
        r = [
            g.reshape(
                g.op("Conv", xv, d, kernel_shape=[H, W], strides=[H, 1], pads=[0, 1, 0, 1]), [O, C, 1, 3]
            )
            for d in ds
        ]
        g.out(g.op("Concat", *r, axis=2))
    return g


def bigconv(x, dy):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    r = g.op(
        "Conv",
        g.op("Transpose", X, perm=[1, 0, 2, 3]),
        g.op("Transpose", D, perm=[1, 0, 2, 3]),
        pads=[1, 1, 1, 1],
    )
    g.out(g.op("Transpose", r, perm=[1, 0, 2, 3]))
    return g


def cm9(x, dy):  # channel major nine-slice and one gemm
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    dt = g.reshape(g.op("Transpose", D, perm=[1, 0, 2, 3]), [O, N * H * W])
    xp = g.op("Pad", g.op("Transpose", X, perm=[1, 0, 2, 3]), g.i([0, 0, 1, 1, 0, 0, 1, 1]))
    xs = [
        g.reshape(g.op("Slice", xp, g.i([a, b]), g.i([a + H, b + W]), g.i([2, 3])), [C, N * H * W])
        for a in range(3)
        for b in range(3)
    ]
    r = g.ms("FusedMatMul", dt, g.op("Concat", *xs, axis=0), transB=1)
    g.out(g.op("Transpose", g.reshape(r, [O, 9, C]), perm=[0, 2, 1]))
    return g


def cm33(x, dy, mode="cc"):  # channel-major 3x3
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    L = N * H * W
    X = g.op("Transpose", X, perm=[1, 0, 2, 3])
    D = g.op("Transpose", D, perm=[1, 0, 2, 3])
    xs = [g.op("Pad", X, g.i([0, 0, 0, 1, 0, 0, 0, -1])), X, g.op("Pad", X, g.i([0, 0, 0, -1, 0, 0, 0, 1]))]
    ds = [g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0])), D, g.op("Pad", D, g.i([0, 0, 1, 0, 0, 0, -1, 0]))]
    xs = [g.reshape(v, [C, L]) for v in xs]
    ds = [g.reshape(v, [O, L]) for v in ds]
    if mode == "cc":
        fin(g, g.ms("FusedMatMul", g.op("Concat", *ds, axis=0), g.op("Concat", *xs, axis=0), transB=1), O, C)
    elif mode == "9":
        r = [g.ms("FusedMatMul", v, w, transB=1) for v in ds for w in xs]
        g.out(g.reshape(g.op("Concat", *[g.reshape(v, [O, C, 1]) for v in r], axis=2), [O, C, 3, 3]))
    elif mode == "x3":
        xc = g.op("Concat", *xs, axis=0)
        r = g.op(
            "Concat", *[g.reshape(g.ms("FusedMatMul", v, xc, transB=1), [1, O, 3, C]) for v in ds], axis=0
        )
        g.out(g.op("Transpose", r, perm=[1, 3, 0, 2]))
    elif mode == "d3":
        dc = g.op("Concat", *ds, axis=0)
        r = [g.ms("FusedMatMul", dc, v, transB=1) for v in xs]
        r = g.op("Concat", *[g.reshape(v, [3, O, C, 1]) for v in r], axis=3)
        g.out(g.op("Transpose", r, perm=[1, 2, 0, 3]))
    return g


ALL = [
    ("facts 3x3", facts),
    ("negpad cc", lambda x, d: negpad(x, d, "cc")),
    ("negpad d3", lambda x, d: negpad(x, d, "d3")),
    ("negpad x3", lambda x, d: negpad(x, d, "x3")),
    ("negpad 9 matmuls", lambda x, d: negpad(x, d, "9")),
    ("skew d, x cc", skewd),
    ("skew d, x sep", lambda x, d: skewd(x, d, "sep")),
    ("skew both", skew_both),
    ("conv3d", conv3d),
    ("conv2d 3dy", conv2d3),
    ("conv2d 3 sep", lambda x, d: conv2d3(x, d, sep=True)),
    ("bigconv", bigconv),
    ("cm9", cm9),
] + [("cm33 " + m, lambda x, d, m=m: cm33(x, d, m)) for m in ("cc", "9", "x3", "d3")]
if __name__ == "__main__":
    for N, C, O, H in [(128, 16, 16, 32), (128, 32, 32, 16), (128, 64, 64, 8)]:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32)
        d = rng.standard_normal((N, O, H, H), dtype=np.float32)
        bench(
            f"wgrad {C}->{O} {H} B{N}",
            [(n, lambda f=f: f(x, d)) for n, f in ALL],
            ref=[ref_wg(x, d)],
            flops=2 * 9 * N * H * H * C * O,
        )
