from harness import *
import weight_plain as wg1
from weight_plain import setup, ref_wg, rng


# stride 2 3x3 pad1 weight gradient
def ref2(x, dy, k=3):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    p = k // 2
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    r = np.zeros((O, C, k, k))
    D = np.ascontiguousarray(dy.transpose(1, 0, 2, 3)).reshape(O, -1)
    for a in range(k):
        for b in range(k):
            r[:, :, a, b] = (
                D
                @ np.ascontiguousarray(
                    xp[:, :, a : a + 2 * h : 2, b : b + 2 * w : 2][:, :, :h, :w].transpose(1, 0, 2, 3)
                )
                .reshape(C, -1)
                .T
            )
    return r


def s2conv(x, dy):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    dt = g.op("Transpose", D, perm=[1, 0, 2, 3])
    du = g.op("Pad", dt, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
    xv = g.reshape(X, [1, N, C * H, W])
    e = g.op(
        "Conv", xv, dt, kernel_shape=[h, w], dilations=[2, 2], strides=[H, 1], pads=[0, 1, 0, 0]
    )  # [1,O,C,3] a=1
    o = g.op(
        "Conv",
        xv,
        g.op("Concat", du, dt, axis=0),
        kernel_shape=[h, w],
        dilations=[2, 2],
        strides=[H, 1],
        pads=[H - 1, 1, 0, 0],
    )  # [1,2O,C+1,3]
    o = g.reshape(g.op("Slice", o, g.i([1]), g.i([C + 1]), g.i([2])), [2, O, C, 3])
    r = g.op(
        "Concat",
        g.op("Slice", o, g.i([0]), g.i([1]), g.i([0])),
        g.reshape(e, [1, O, C, 3]),
        g.op("Slice", o, g.i([1]), g.i([2]), g.i([0])),
        axis=0,
    )
    g.out(g.op("Transpose", r, perm=[1, 2, 0, 3]))
    return g


def s2conv3d(x, dy):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    f = g.reshape(g.op("Transpose", D, perm=[1, 0, 2, 3]), [O, N, 1, h, w])
    g.out(
        g.reshape(
            g.op(
                "Conv",
                g.reshape(X, [1, N, C, H, W]),
                f,
                kernel_shape=[1, h, w],
                dilations=[1, 2, 2],
                pads=[0, 1, 1, 0, 0, 0],
            ),
            [O, C, 3, 3],
        )
    )
    return g


def s2conv_split(x, dy, one=False):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    dt = g.op("Transpose", D, perm=[1, 0, 2, 3])
    du = g.op("Pad", dt, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
    xe, xo = g.op("Split", g.reshape(X, [N, C, h, 2, W]), n=2, axis=3, num_outputs=2)
    at = dict(kernel_shape=[h, w], dilations=[1, 2], strides=[h, 1], pads=[0, 1, 0, 0])
    e = g.op("Conv", g.reshape(xe, [1, N, C * h, W]), dt, **at)
    o = g.reshape(
        g.op("Conv", g.reshape(xo, [1, N, C * h, W]), g.op("Concat", du, dt, axis=0), **at), [2, O, C, 3]
    )
    a, b = g.op("Split", o, n=2, axis=0, num_outputs=2)
    g.out(g.op("Transpose", g.op("Concat", a, g.reshape(e, [1, O, C, 3]), b, axis=0), perm=[1, 2, 0, 3]))
    return g


def s2mm(x, dy, fold="batch"):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    L = h * w
    s = g.op("SpaceToDepth", X, blocksize=2)  # (ph,pw,c)
    ee, eo, oe, oo = g.op("Split", s, n=4, axis=1, num_outputs=4)
    sh = lambda v: g.op("Pad", v, g.i([0, 0, 0, 1, 0, 0, 0, -1]))
    du = g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
    xe = g.reshape(g.op("Concat", sh(eo), ee, eo, axis=1), [N, 3 * C, L])
    xo = g.reshape(g.op("Concat", sh(oo), oe, oo, axis=1), [N, 3 * C, L])
    d2 = g.reshape(g.op("Concat", du, D, axis=1), [N, 2 * O, L])
    d1 = g.reshape(D, [N, O, L])
    R = lambda m: g.op("ReduceSum", m, g.i([0]), keepdims=0)
    e = R(g.ms("FusedMatMul", d1, xe, transB=1))
    o = R(g.ms("FusedMatMul", d2, xo, transB=1))
    oa, ob = g.op("Split", g.reshape(o, [2, O, 3, C]), n=2, axis=0, num_outputs=2)
    g.out(g.op("Transpose", g.op("Concat", oa, g.reshape(e, [1, O, 3, C]), ob, axis=0), perm=[1, 3, 0, 2]))
    return g


def s2mm_skew(x, dy):  # columns via strided slice avoided: all taps, dy [dy,du]
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    L = h * w
    s = g.op("SpaceToDepth", X, blocksize=2)
    se, so = g.op("Split", s, n=2, axis=1, num_outputs=2)  # (pw,c)
    _, eo = g.op("Split", se, n=2, axis=1, num_outputs=2)
    _, oo = g.op("Split", so, n=2, axis=1, num_outputs=2)
    sh = lambda v: g.reshape(g.op("Pad", v, g.i([0, 0, 0, 1, 0, 0, 0, -1])), [N, C, L])
    R = lambda m: g.op("ReduceSum", m, g.i([0]), keepdims=0)
    du = g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
    d1 = g.reshape(D, [N, O, L])
    d2 = g.reshape(g.op("Concat", du, D, axis=1), [N, 2 * O, L])
    T = []
    for d, k, v, o in ((d1, 1, se, eo), (d2, 2, so, oo)):
        a = g.reshape(
            R(g.ms("FusedMatMul", d, g.reshape(v, [N, 2 * C, L]), transB=1)), [k, O, 2, C]
        )  # taps b=1,2
        b = g.reshape(R(g.ms("FusedMatMul", d, sh(o), transB=1)), [k, O, 1, C])
        T.append(g.op("Concat", b, a, axis=2))
    oa, ob = g.op("Split", T[1], n=2, axis=0, num_outputs=2)
    g.out(g.op("Transpose", g.op("Concat", oa, T[0], ob, axis=0), perm=[1, 3, 0, 2]))
    return g


def s2facts(x, dy):
    N, C, H, W = x.shape
    _, O, h, w = dy.shape
    g, X, D = setup(x, dy)
    L = h * w
    s = g.op(
        "SpaceToDepth", g.op("Pad", X, g.i([0, 0, 1, 1, 0, 0, 1, 1])), blocksize=2
    )  # N,4C,h+1,w+1 ; x_pad[2h+a]
    s = g.reshape(s, [N, 4, C, h + 1, w + 1])
    xs = []
    for a in range(3):
        for b in range(3):
            ph = (a % 2) * 2 + b % 2
            xs.append(
                g.reshape(
                    g.op(
                        "Slice",
                        s,
                        g.i([ph, a // 2, b // 2]),
                        g.i([ph + 1, a // 2 + h, b // 2 + w]),
                        g.i([1, 3, 4]),
                    ),
                    [N, C, L],
                )
            )
    m = g.op(
        "ReduceSum",
        g.ms("FusedMatMul", g.reshape(D, [N, O, L]), g.op("Concat", *xs, axis=1), transB=1),
        g.i([0]),
        keepdims=0,
    )
    g.out(g.op("Transpose", g.reshape(m, [O, 9, C]), perm=[0, 2, 1]))
    return g


A2 = [
    ("facts S2D 9 slices", s2facts),
    ("conv dil2 2 convs", s2conv),
    ("conv3d dil", s2conv3d),
    ("row split + conv", s2conv_split),
    ("s2d exact mm", s2mm),
    ("s2d mm sep", s2mm_skew),
]


# improved stride1
def c2(x, dy, how):
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    L = H * W
    xv = g.reshape(X, [1, N, C * H, W])
    at = dict(kernel_shape=[H, W], strides=[H, 1], pads=[0, 1, 0, 1])
    if how == "pre":  # pad/concat first then transpose: [N,O,3,L] -> [3?]
        du = g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
        dd = g.op("Pad", D, g.i([0, 0, 1, 0, 0, 0, -1, 0]))
        f = g.op("Transpose", g.op("Concat", du, D, dd, axis=1), perm=[1, 0, 2, 3])
    elif how == "skew":  # slices of rows + concat with zero gaps, one transpose
        z = g.c(np.zeros((N, O, 1, W), np.float32))
        u = g.op("Slice", D, g.i([1]), g.i([H]), g.i([2]))
        d = g.op("Slice", D, g.i([0]), g.i([H - 1]), g.i([2]))
        f = g.op("Concat", u, z, D, z, d, axis=2)  # N,O,3H,W -> (O,3)
        f = g.op("Transpose", g.reshape(f, [N, O * 3, H, W]), perm=[1, 0, 2, 3])
    elif how == "tpad":  # transpose, pad once, slice 3 , concat
        p = g.op("Pad", g.op("Transpose", D, perm=[1, 0, 2, 3]), g.i([0, 0, 1, 0, 0, 0, 1, 0]))
        f = g.op(
            "Concat", *[g.op("Slice", p, g.i([2 - a]), g.i([2 - a + H]), g.i([2])) for a in range(3)], axis=0
        )
    elif how == "tskew":
        dt = g.op("Transpose", D, perm=[1, 0, 2, 3])
        z = g.c(np.zeros((O, N, 1, W), np.float32))
        u = g.op("Concat", g.op("Slice", dt, g.i([1]), g.i([H]), g.i([2])), z, axis=2)
        d = g.op("Concat", z, g.op("Slice", dt, g.i([0]), g.i([H - 1]), g.i([2])), axis=2)
        f = g.op("Concat", u, dt, d, axis=0)
    r = g.op("Conv", xv, f, **at)
    if how == "skew":
        g.out(g.op("Transpose", g.reshape(r, [O, 3, C, 3]), perm=[0, 2, 1, 3]))
    else:
        g.out(g.op("Transpose", g.reshape(r, [3, O, C, 3]), perm=[1, 2, 0, 3]))
    return g


def grouped(x, dy, G_):  # conv2d with batch chunks as conv groups/batches: x [B=..]
    N, C, H, W = x.shape
    O = dy.shape[1]
    g, X, D = setup(x, dy)
    # groups: channels N split to G_ groups; filters [G*3O, N/G,H,W]; output [1,G*3O,C,3] then reduce
    du = g.op("Pad", D, g.i([0, 0, -1, 0, 0, 0, 1, 0]))
    dd = g.op("Pad", D, g.i([0, 0, 1, 0, 0, 0, -1, 0]))
    f = g.reshape(g.op("Concat", du, D, dd, axis=1), [G_, N // G_, 3 * O, H * W])
    f = g.reshape(g.op("Transpose", f, perm=[0, 2, 1, 3]), [G_ * 3 * O, N // G_, H, W])
    r = g.op(
        "Conv",
        g.reshape(X, [1, N, C * H, W]),
        f,
        kernel_shape=[H, W],
        strides=[H, 1],
        pads=[0, 1, 0, 1],
        group=G_,
    )
    r = g.op("ReduceSum", g.reshape(r, [G_, 3 * O * C * 3]), g.i([0]), keepdims=0)
    g.out(g.op("Transpose", g.reshape(r, [3, O, C, 3]), perm=[1, 2, 0, 3]))
    return g


if __name__ == "__main__":
    for N, C, O, H in [(128, 16, 32, 32), (128, 32, 64, 16)]:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32)
        d = rng.standard_normal((N, O, H // 2, H // 2), dtype=np.float32)
        bench(
            f"wgrad s2 {C}->{O} {H} B{N}",
            [(n, lambda f=f: f(x, d)) for n, f in A2],
            ref=[ref2(x, d)],
            flops=2 * 9 * N * H * H // 4 * C * O,
        )
    for N, C, O, H in [(128, 16, 16, 32), (128, 32, 32, 16), (128, 64, 64, 8)]:
        x = rng.standard_normal((N, C, H, H), dtype=np.float32)
        d = rng.standard_normal((N, O, H, H), dtype=np.float32)
        F = (
            [(n, lambda f=f: f(x, d)) for n, f in wg1.ALL if n in ("skew d, x cc", "conv2d 3dy")]
            + [("c2 " + h, lambda h=h: c2(x, d, h)) for h in ("pre", "skew", "tpad", "tskew")]
            + [(f"grouped {k}", lambda k=k: grouped(x, d, k)) for k in (2, 4, 8, 32)]
        )
        bench(f"wgrad {C}->{O} {H} B{N}", F, ref=[ref_wg(x, d)], flops=2 * 9 * N * H * H * C * O)
