from harness import *

B = 16


def wblk(g, w, O, I, k=3):  # OIHWBiBo
    if I % B:
        return g.reshape(
            g.op("Transpose", g.reshape(w, [O // B, B, I, k, k]), perm=[0, 2, 3, 4, 1]), [O, I, k, k]
        )
    return g.reshape(
        g.op("Transpose", g.reshape(w, [O // B, B, I // B, B, k, k]), perm=[0, 2, 4, 5, 3, 1]), [O, I, k, k]
    )


def wblkT(g, w, O, I, k=3):  # for input gradient: conv O->I, flipped
    f = g.op("Gather", g.reshape(w, [O, I, k * k]), g.i(list(range(k * k))[::-1]), axis=2)
    return g.reshape(
        g.op("Transpose", g.reshape(f, [O // B, B, I // B, B, k * k]), perm=[2, 0, 4, 1, 3]), [I, O, k, k]
    )


def blk(x):
    N, C, H, W = x.shape
    return np.ascontiguousarray(x.reshape(N, C // B, B, H, W).transpose(0, 1, 3, 4, 2)).reshape(x.shape)


def fwd(x, w, s, mode):
    O, I, k, _ = w.shape
    g = G()
    p = k // 2
    at = dict(kernel_shape=[k, k], pads=[p] * 4, strides=[s, s])
    W_ = g.inp("w", w)
    if mode == "plain":
        g.out(g.op("Conv", g.inp("x", x), W_, **at))
    elif mode == "nc":  # excluding reorders
        X = g.inp("x", blk(x) if I % B == 0 else x)
        g.out(g.nc("Conv", X, wblk(g, W_, O, I, k), **at))
    elif mode == "nc+ro":
        X = g.inp("x", x)
        if I % B == 0:
            X = g.nc("ReorderInput", X)
        g.out(g.nc("ReorderOutput", g.nc("Conv", X, wblk(g, W_, O, I, k), **at), channels=O))
    elif mode == "nc+ri":
        X = g.inp("x", x)
        if I % B == 0:
            X = g.nc("ReorderInput", X)
        g.out(g.nc("Conv", X, wblk(g, W_, O, I, k), **at))
    elif mode == "nhwc":
        X = g.op("Transpose", g.inp("x", x), perm=[0, 2, 3, 1])
        g.out(g.op("Transpose", g.ms("NhwcFusedConv", X, W_, **at), perm=[0, 3, 1, 2]))
    elif mode == "const":
        g.ins = []
        g.feeds = {}
        X = g.inp("x", x)
        g.out(g.op("Conv", X, g.c(w), **at))
    elif mode == "shift9":  # sum of batched matmul on im2col by Concat
        N, C, H, _ = x.shape
        X = g.op("Pad", g.inp("x", x), g.i([0, 0, 1, 1, 0, 0, 1, 1]))
        xs = [
            g.reshape(g.op("Slice", X, g.i([a, b]), g.i([a + H, b + H]), g.i([2, 3])), [N, C, H * H])
            for a in range(3)
            for b in range(3)
        ]
        wt = g.reshape(g.op("Transpose", W_, perm=[0, 2, 3, 1]), [O, 9 * C])
        g.out(g.reshape(g.op("MatMul", wt, g.op("Concat", *xs, axis=1)), [N, O, H, H]))
    return g


def refs(x, w, s):
    return fwd(x, w, s, "plain").session().run(None, {"x": x, "w": w})


def unblk(y):
    N, C, H, W = y.shape
    return np.ascontiguousarray(y.reshape(N, C // B, H, W, B).transpose(0, 1, 4, 2, 3)).reshape(y.shape)


def dgrad(dy, w, s, mode):
    O, I, k, _ = w.shape
    N, _, H, W = dy.shape
    g = G()
    Wn = g.inp("w", w)
    flip = lambda: g.op(
        "Transpose",
        g.reshape(
            g.op("Gather", g.reshape(Wn, [O, I, k * k]), g.i(list(range(k * k))[::-1]), axis=2), [O, I, k, k]
        ),
        perm=[1, 0, 2, 3],
    )
    p = k // 2
    if mode == "ct":
        g.out(
            g.op(
                "ConvTranspose",
                g.inp("dy", dy),
                Wn,
                kernel_shape=[k, k],
                pads=[p] * 4,
                strides=[s, s],
                output_padding=[s - 1] * 2,
            )
        )
    elif mode == "flip":
        g.out(g.op("Conv", g.inp("dy", dy), flip(), kernel_shape=[k, k], pads=[p] * 4))
    elif mode == "nc":
        g.out(g.nc("Conv", g.inp("dy", blk(dy)), wblkT(g, Wn, O, I, k), kernel_shape=[k, k], pads=[p] * 4))
    elif mode == "nc+ro":
        g.out(
            g.nc(
                "ReorderOutput",
                g.nc(
                    "Conv",
                    g.nc("ReorderInput", g.inp("dy", dy)),
                    wblkT(g, Wn, O, I, k),
                    kernel_shape=[k, k],
                    pads=[p] * 4,
                ),
                channels=I,
            )
        )
    elif mode in ("sub", "nsub", "sub4"):  # stride 2 by 2x2 conv into 4I channels then DepthToSpace
        D = g.inp("dy", dy)
        # taps: dx[2h+p]: p=0: kh=1,dy[h]; p=1: kh=2,dy[h]; kh=0, dy[h+1]
        # kernel index t (dy[h+t]) for phase p: p0:t0->kh1 ; p1: t0->kh2, t1->kh0 ; zero index = 3
        idx = []
        kk = {(0, 0): 1, (0, 1): 3, (1, 0): 2, (1, 1): 0}
        wz = g.op("Pad", Wn, g.i([0, 0, 0, 0, 0, 0, 1, 1]))  # O,I,4,4
        for ph in (0, 1):
            for pw in (0, 1):
                for th in (0, 1):
                    for tw in (0, 1):
                        idx.append(kk[ph, th] * 4 + kk[pw, tw])
        if mode in ("sub", "nsub"):
            w4 = g.op("Gather", g.reshape(wz, [O, I, 16]), g.i(idx), axis=2)  # O,I,(ph,pw,th,tw)
            if mode == "sub":
                w4 = g.reshape(
                    g.op("Transpose", g.reshape(w4, [O, I, 4, 2, 2]), perm=[2, 1, 0, 3, 4]), [4 * I, O, 2, 2]
                )  # DCR
                y = g.op("Conv", D, w4, kernel_shape=[2, 2], pads=[0, 0, 1, 1])
                g.out(g.op("DepthToSpace", y, blocksize=2, mode="DCR"))
            else:
                # blocked: output channels order (ph,pw,I) -> [N,4,I/16,H,W,16]
                w6 = g.reshape(
                    g.op("Transpose", g.reshape(w4, [O // B, B, I // B, B, 4, 4]), perm=[4, 2, 0, 5, 1, 3]),
                    [4 * I, O, 2, 2],
                )
                y = g.nc("Conv", g.inp("dyb", blk(dy)), w6, kernel_shape=[2, 2], pads=[0, 0, 1, 1])
                # -> [N,2,2,I/16,H,W,16] -> N,I/16,H,2,W,2,16
                y = g.op("Transpose", g.reshape(y, [N, 2, 2, I // B, H, W, B]), perm=[0, 3, 4, 1, 5, 2, 6])
                g.out(g.reshape(y, [N, I, 2 * H, 2 * W]))
                g.ins = [v for v in g.ins if v.name != "dy"]
                g.feeds.pop("dy")
        else:
            ys = []
            for ph in (0, 1):
                for pw in (0, 1):
                    th = [0] if ph == 0 else [0, 1]
                    tw = [0] if pw == 0 else [0, 1]
                    ix = [kk[ph, a] * 3 + kk[pw, b] for a in th for b in tw]
                    wk = g.reshape(
                        g.op(
                            "Transpose",
                            g.op("Gather", g.reshape(Wn, [O, I, 9]), g.i(ix), axis=2),
                            perm=[1, 0, 2],
                        ),
                        [I, O, len(th), len(tw)],
                    )
                    ys.append(
                        g.op(
                            "Conv",
                            D,
                            wk,
                            kernel_shape=[len(th), len(tw)],
                            pads=[0, 0, len(th) - 1, len(tw) - 1],
                        )
                    )
            g.out(g.op("DepthToSpace", g.op("Concat", *ys, axis=1), blocksize=2, mode="DCR"))
    return g


def chk(f, r, post=None):
    return f


if __name__ == "__main__":
    N = 128
    L = [
        (128, 3, 16, 32, 1),
        (128, 16, 16, 32, 1),
        (128, 16, 32, 32, 2),
        (128, 32, 32, 16, 1),
        (128, 32, 64, 16, 2),
        (128, 64, 64, 8, 1),
    ]
    if len(sys.argv) > 1:
        L = eval(sys.argv[1])
    for N, I, O, H, s in L:
        x = rng.standard_normal((N, I, H, H), dtype=np.float32)
        w = rng.standard_normal((O, I, 3, 3), dtype=np.float32) / np.sqrt(9 * I)
        w = w.astype(np.float32)
        r = refs(x, w, s)
        fl = 2 * 9 * N * (H // s) ** 2 * I * O
        F = [
            (m, (lambda m=m: fwd(x, w, s, m)))
            for m in ["plain", "const", "nc", "nc+ri", "nc+ro", "nhwc"] + (["shift9"] if s == 1 else [])
        ]
        # verify nc
        y = fwd(x, w, s, "nc").session().run(None, dict(w=w, x=blk(x) if I % B == 0 else x))[0]
        print("nc check", rel(unblk(y), r[0]))
        bench(f"fwd {I}->{O} {H} s{s} B{N}", F, ref=r, flops=fl)
        if I < 16:
            continue
        dy = rng.standard_normal((N, O, H // s, H // s), dtype=np.float32)
        r = dgrad(dy, w, s, "ct").session().run(None, dict(w=w, dy=dy))
        if s == 1:
            y = dgrad(dy, w, s, "nc").session().run(None, dict(w=w, dy=blk(dy)))[0]
            print("nc check", rel(unblk(y), r[0]))
            M = ["ct", "flip", "nc", "nc+ro"]
        else:
            y = dgrad(dy, w, s, "nsub").session().run(None, dict(w=w, dyb=blk(dy)))[0]
            print("nsub check", rel(unblk(y), r[0]))
            M = ["ct", "sub", "sub4", "nsub"]
        bench(
            f"dgrad {I}->{O} {H} s{s} B{N}",
            [(m, (lambda m=m: dgrad(dy, w, s, m))) for m in M],
            ref=r,
            flops=fl,
        )
