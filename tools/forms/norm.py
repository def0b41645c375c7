from harness import *
from forward import blk, B

eps = 1e-5


def stats(g, X, N, C, L, how, blocked, Y=None):
    """returns sum, sumsq (or sum, sum x*y) shape [C]; X given as NCHW shaped [N,C,H,W] or blocked"""
    Y = Y or X
    if not blocked:
        if how == "rs":  # ReduceSum + ReduceSumSquare / Mul
            s = g.op("ReduceSum", X, g.i([0, 2, 3]), keepdims=0)
            q = (
                g.op("ReduceSumSquare", X, g.i([0, 2, 3]), keepdims=0)
                if Y == X
                else g.op("ReduceSum", g.op("Mul", X, Y), g.i([0, 2, 3]), keepdims=0)
            )
        elif how == "mm":  # FusedMatMul over [N*C,1,L]
            a = g.reshape(X, [N * C, 1, L])
            b = g.reshape(Y, [N * C, 1, L])
            q = g.op(
                "ReduceSum", g.reshape(g.ms("FusedMatMul", a, b, transB=1), [N, C]), g.i([0]), keepdims=0
            )
            s = g.op("ReduceSum", X, g.i([0, 2, 3]), keepdims=0)
        elif how == "mmones":
            a = g.reshape(X, [N * C, 1, L])
            b = g.reshape(Y, [N * C, 1, L])
            q = g.op(
                "ReduceSum", g.reshape(g.ms("FusedMatMul", a, b, transB=1), [N, C]), g.i([0]), keepdims=0
            )
            s = g.op(
                "ReduceSum",
                g.reshape(g.op("MatMul", g.reshape(X, [N * C, L]), g.c(np.ones((L, 1), np.float32))), [N, C]),
                g.i([0]),
                keepdims=0,
            )
    else:
        Cb = C // B
        if how == "rs":
            v = g.reshape(X, [N, Cb, L, B])
            r = lambda t: g.reshape(
                g.op("ReduceSum", g.op("ReduceSum", t, g.i([2]), keepdims=0), g.i([0]), keepdims=0), [C]
            )
            s = r(v)
            q = r(g.op("Mul", v, v if X == Y else g.reshape(Y, [N, Cb, L, B])))
        elif how == "mm":  # per (n,cb): X^T Y  [16,L]x[L,16] diag
            a = g.reshape(X, [N, Cb, L, B])
            b = g.reshape(Y, [N, Cb, L, B])
            m = g.op("ReduceSum", g.ms("FusedMatMul", a, b, transA=1), g.i([0]), keepdims=0)
            q = g.reshape(
                g.op("ReduceSum", g.op("Mul", m, g.c(np.eye(B, dtype=np.float32))), g.i([2]), keepdims=0), [C]
            )
            s = g.reshape(
                g.op("ReduceSum", g.op("MatMul", g.c(np.ones((1, L), np.float32)), a), g.i([0]), keepdims=0),
                [C],
            )
        elif how == "mm1":  # one gemm per (n,cb) with ones row
            a = g.reshape(X, [N, Cb, L, B])
            b = g.reshape(Y, [N, Cb, L, B])
            m = g.op("ReduceSum", g.ms("FusedMatMul", a, b, transA=1), g.i([0]), keepdims=0)
            q = g.reshape(
                g.op("ReduceSum", g.op("Mul", m, g.c(np.eye(B, dtype=np.float32))), g.i([2]), keepdims=0), [C]
            )
            s = g.reshape(
                g.op("ReduceSum", g.op("ReduceSum", a, g.i([2]), keepdims=0), g.i([0]), keepdims=0), [C]
            )
    return s, q


def affine(g, X, N, C, H, W, a, b, how, blocked, relu=True):
    """a,b [C] -> relu(a*x+b)"""
    if not blocked:
        R = lambda v: g.reshape(v, [1, C, 1, 1])
        if how == "mul":
            y = g.op("Add", g.op("Mul", X, R(a)), R(b))
        elif how == "bn":  # inference batch norm with mean 0 var 1
            y = g.op(
                "BatchNormalization",
                X,
                a,
                b,
                g.c(np.zeros(C, np.float32)),
                g.c(np.ones(C, np.float32)),
                epsilon=0.0,
            )
        elif how == "dw":
            y = g.op("Conv", X, g.reshape(a, [C, 1, 1, 1]), b, group=C, kernel_shape=[1, 1])
        elif how == "dwf":
            return g.ms(
                "FusedConv", X, g.reshape(a, [C, 1, 1, 1]), b, group=C, kernel_shape=[1, 1], activation="Relu"
            )
        elif how == "dwnc":
            return None
    else:
        Cb = C // B
        if how == "mul":
            v = g.reshape(X, [N, Cb, H * W, B])
            R = lambda v: g.reshape(v, [1, Cb, 1, B])
            y = g.op("Add", g.op("Mul", v, R(a)), R(b))
        elif how == "mulT":  # tile to row
            v = g.reshape(X, [N, Cb, H, W * B])
            R = lambda v: g.op("Tile", g.reshape(v, [1, Cb, 1, B]), g.i([1, 1, 1, W]))
            y = g.op("Add", g.op("Mul", v, R(a)), R(b))
        elif how == "mulF":  # expand to full channel image
            v = g.reshape(X, [N, C * H * W])
            R = lambda v: g.reshape(
                g.op("Expand", g.reshape(v, [1, Cb, 1, B]), g.i([1, Cb, H * W, B])), [1, C * H * W]
            )
            y = g.op("Add", g.op("Mul", v, R(a)), R(b))
        elif how == "dw":  # nchwc depthwise
            return g.nc(
                "Conv", X, g.reshape(a, [C, 1, 1, 1]), b, group=C, kernel_shape=[1, 1], activation="Relu"
            )
        elif how == "dwlin":
            y = g.nc("Conv", X, g.reshape(a, [C, 1, 1, 1]), b, group=C, kernel_shape=[1, 1])
    return g.op("Relu", y) if relu else y


def ab(g, s, q, n, ga, be):
    inv = g.c(np.float32(1 / n))
    m = g.op("Mul", s, inv)
    v = g.op("Sub", g.op("Mul", q, inv), g.op("Mul", m, m))
    a = g.op("Div", ga, g.op("Sqrt", g.op("Add", v, g.c(np.float32(eps)))))
    return a, g.op("Sub", be, g.op("Mul", m, a))


def bnf(x, st, af, blocked):
    N, C, H, W = x.shape
    g = G()
    X = g.inp("x", blk(x) if blocked else x)
    ga = g.inp("ga", np.linspace(0.5, 1.5, C, dtype=np.float32))
    be = g.inp("be", np.linspace(-0.5, 0.5, C, dtype=np.float32))
    if st == "op":
        y, m, v = g.op(
            "BatchNormalization",
            X,
            ga,
            be,
            g.c(np.zeros(C, np.float32)),
            g.c(np.ones(C, np.float32)),
            n=3,
            training_mode=1,
            momentum=0.0,
            epsilon=eps,
        )
        y = g.op("Relu", y)
    else:
        s, q = stats(g, X, N, C, H * W, st, blocked)
        a, b = ab(g, s, q, N * H * W, ga, be)
        y = affine(g, X, N, C, H, W, a, b, af, blocked)
    if blocked:
        y = g.op("Transpose", g.reshape(y, [N, C // B, H * W, B]), perm=[0, 1, 3, 2]) if CHK else y
    g.out(g.reshape(y, [N, C, H, W]) if blocked else y)
    return g


CHK = False


def bref(x):
    C = x.shape[1]
    x = x.astype(np.float64)
    m = x.mean((0, 2, 3))
    v = x.var((0, 2, 3))
    ga = np.linspace(0.5, 1.5, C)
    be = np.linspace(-0.5, 0.5, C)
    a = ga / np.sqrt(v + eps)
    return np.maximum(0, x * a[:, None, None] + (be - m * a)[:, None, None])


def one(x, kind, how, blocked):
    N, C, H, W = x.shape
    g = G()
    X = g.inp("x", blk(x) if blocked else x)
    if kind == "stats":
        g.out(*stats(g, X, N, C, H * W, how, blocked))
    elif kind == "xy":
        Y = g.inp("y", blk(x) if blocked else x)
        g.out(*stats(g, X, N, C, H * W, how, blocked, Y))
    else:
        a = g.inp("a", np.linspace(0.5, 1.5, C, dtype=np.float32))
        b = g.inp("b", np.linspace(-0.5, 0.5, C, dtype=np.float32))
        g.out(affine(g, X, N, C, H, W, a, b, how, blocked, relu=kind == "affrelu"))
    return g


if __name__ == "__main__":
    for N, C, H in [(128, 16, 32), (128, 32, 16), (128, 64, 8)]:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32) + 0.3
        bench(
            f"stats {C} {H}",
            [("op", lambda: bnf(x, "op", "", False))]
            + [
                (("blk " if b else "") + h, lambda b=b, h=h: one(x, "stats", h, b))
                for b, h in [(0, "rs"), (0, "mm"), (0, "mmones"), (1, "rs"), (1, "mm"), (1, "mm1")]
            ],
            check=False,
        )
        bench(
            f"stats x*y {C} {H}",
            [
                (("blk " if b else "") + h, lambda b=b, h=h: one(x, "xy", h, b))
                for b, h in [(0, "rs"), (0, "mm"), (0, "mmones"), (1, "rs"), (1, "mm"), (1, "mm1")]
            ],
            check=False,
        )
        bench(
            f"affine+relu {C} {H}",
            [
                (("blk " if b else "") + h, lambda b=b, h=h: one(x, "affrelu", h, b))
                for b, h in [
                    (0, "mul"),
                    (0, "bn"),
                    (0, "dw"),
                    (0, "dwf"),
                    (1, "mul"),
                    (1, "mulT"),
                    (1, "mulF"),
                    (1, "dw"),
                    (1, "dwlin"),
                ]
            ],
            check=False,
        )
        CHK = True
        bench(
            f"check {C}",
            [
                (f"{st} {af} {b}", lambda st=st, af=af, b=b: bnf(x, st, af, b))
                for st, af, b in [
                    ("op", "", 0),
                    ("mm", "mul", 0),
                    ("mm", "bn", 0),
                    ("mm", "dwf", 0),
                    ("rs", "mul", 1),
                    ("mm", "dw", 1),
                    ("mm", "mulT", 1),
                ]
            ],
            ref=[bref(x)],
        )
        CHK = False
