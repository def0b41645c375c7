from harness import *
from forward import blk, B


# in-place Sum: tail consumer so that output is internal
def build(what, x, y, dy):
    N, C, H, W = x.shape
    g = G()
    R = g.reshape
    X = g.inp("x", blk(x))
    D = g.inp("dy", blk(dy))
    Y = g.inp("y", blk(y))
    P = lambda n: g.inp(n, rng.standard_normal(C).astype(np.float32))
    a, b, c = P("a"), P("b"), P("c")
    r = lambda v: R(v, [C, 1, 1, 1])
    dw = lambda x, w, *rest, **at: g.nc("Conv", x, r(w), *rest, group=C, kernel_shape=[1, 1], **at)
    if what == "dx sum":
        o = dw(D, a, "", dw(X, b, c))
    elif what == "dx add":
        o = g.op("Add", dw(X, b, c), dw(D, a))
    elif what == "dx chain mul into sum":
        o = dw(g.op("Mul", D, g.op("HardSigmoid", Y, alpha=1e30, beta=0.0)), a, "", dw(X, b, c))
    elif what == "dx chain mul into add":
        o = g.op("Add", dw(g.op("Mul", D, g.op("HardSigmoid", Y, alpha=1e30, beta=0.0)), a), dw(X, b, c))
    elif what == "dx scaled mul":  # a folded: mask scaled: a*dy*m : dw(Y) hmm
        o = g.op("Add", g.op("Mul", D, dw(Y, a)), dw(X, b, c))
    elif what == "res sum relu":
        o = dw(X, a, b, Y, activation="Relu")
    elif what == "res add relu":
        o = g.op("Relu", g.op("Add", dw(X, a, b), Y))
    elif what == "res sum relu inpl":
        o = dw(X, a, b, dw(Y, c), activation="Relu")
    elif what == "res add relu inpl":
        o = g.op("Relu", g.op("Add", dw(X, a, b), dw(Y, c)))
    g.out(g.nc("GlobalAveragePool", o))
    return g


for N, C, H in ((128, 16, 32), (128, 32, 16), (128, 64, 8)):
    x = rng.standard_normal((N, C, H, H), dtype=np.float32)
    y = np.maximum(0, rng.standard_normal((N, C, H, H), dtype=np.float32))
    dy = rng.standard_normal((N, C, H, H), dtype=np.float32)
    bench(
        f"inplace {C} {H}",
        [
            (w, lambda w=w: build(w, x, y, dy))
            for w in [
                "dx sum",
                "dx add",
                "dx chain mul into sum",
                "dx chain mul into add",
                "res sum relu",
                "res add relu",
                "res sum relu inpl",
                "res add relu inpl",
            ]
        ],
        check=False,
        runs=25,
    )
