from harness import *
from forward import blk, B, wblk, wblkT
from weight_blocked import emit

EPS = 1e-5


class Net:
    """ResNet-20 (option A shortcut) training step, fully blocked."""

    def __init__(s, N=128, widths=(16, 32, 64), n=3, H=32, K=10, opt={}):
        s.N = N
        s.g = g = G()
        s.K = K
        s.opt = opt
        R = g.reshape
        s.pn = []
        s.pi = []
        s.H = H
        g.inp("images", rng.standard_normal((N, 3, H, H)).astype(np.float32))
        t = np.eye(K, dtype=np.float32)[rng.integers(0, K, N)]
        g.inp("targets", t)
        s.defs = []

        # param list
        def cv(o, i, k=3):
            s.defs.append(((o, i, k, k), "conv"))

        def bn(c):
            s.defs.append(((c,), "g"))
            s.defs.append(((c,), "b"))

        cv(widths[0], 3)
        bn(widths[0])
        ci = widths[0]
        for w in widths:
            for j in range(n):
                cv(w, ci)
                bn(w)
                cv(w, w)
                bn(w)
                ci = w
        s.defs.append(((K, ci), "fc"))
        s.defs.append(((K,), "b"))
        sizes = [int(np.prod(d[0])) for d in s.defs]
        r2 = np.random.default_rng(1)
        s.P0 = [
            (
                (r2.standard_normal(d[0]) * np.sqrt(2 / (np.prod(d[0][1:])))).astype(np.float32)
                if d[1] in ("conv", "fc")
                else (np.ones if d[1] == "g" else np.zeros)(d[0], np.float32)
            )
            for d in s.defs
        ]
        flat = np.concatenate([p.reshape(-1) for p in s.P0])
        Pf = g.inp("params", flat)
        Mf = g.inp("mom", np.zeros_like(flat))
        lr = g.inp("lr", np.float32(0.1))
        parts = g.op("Split", Pf, g.i(sizes), n=len(sizes), axis=0)
        s.p = [R(v, list(d[0])) for v, d in zip(parts, s.defs)]
        s.gr = [None] * len(s.p)
        # forward
        tape = []
        k = 0
        X = "images"
        z = g.nc("Conv", X, wblk(g, s.p[0], widths[0], 3), kernel_shape=[3, 3], pads=[1] * 4)
        c = widths[0]
        h = H
        y, bs = s.bn(z, 1, c, h)
        tape.append(("stem", X, bs, y))
        k = 3
        ci = c
        for w in widths:
            for j in range(n):
                st = 2 if w != ci else 1
                hin = h
                h = h // st
                xin = y
                z1 = g.nc(
                    "Conv", xin, wblk(g, s.p[k], w, ci), kernel_shape=[3, 3], pads=[1] * 4, strides=[st, st]
                )
                y1, b1 = s.bn(z1, k + 1, w, h)
                z2 = g.nc("Conv", y1, wblk(g, s.p[k + 3], w, w), kernel_shape=[3, 3], pads=[1] * 4)
                if st == 1:
                    sc = xin
                else:
                    I = np.zeros((w, ci, 1, 1), np.float32)
                    o = (w - ci) // 2
                    for q in range(ci):
                        I[o + q, q] = 1
                    Wb = np.ascontiguousarray(
                        I.reshape(w // B, B, ci // B, B, 1, 1).transpose(0, 2, 4, 5, 3, 1)
                    ).reshape(I.shape)
                    sc = g.nc("Conv", xin, g.c(Wb), kernel_shape=[1, 1], strides=[2, 2])
                y, b2 = s.bn(z2, k + 4, w, h, res=sc)
                tape.append(("block", k, st, xin, ci, hin, w, h, b1, y1, b2, y))
                k += 6
                ci = w
        pool = R(g.nc("GlobalAveragePool", y), [N, ci])
        W, bb = s.p[k], s.p[k + 1]
        logits = g.op("Gemm", pool, W, bb, transB=1)
        ls = g.op("LogSoftmax", logits, axis=1)
        loss = g.op(
            "Neg",
            g.op(
                "ReduceMean", g.op("ReduceSum", g.op("Mul", ls, "targets"), g.i([1]), keepdims=0), keepdims=0
            ),
        )
        dl = g.op("Mul", g.op("Sub", g.op("Exp", ls), "targets"), g.c(np.float32(1 / N)))
        s.gr[k] = g.op("Gemm", dl, pool, transA=1)
        s.gr[k + 1] = g.op("ReduceSum", dl, g.i([0]), keepdims=0)
        dp = g.op("Mul", g.op("MatMul", dl, W), g.c(np.float32(1 / (h * h))))
        # backward
        first = True
        dy = None
        for t in reversed(tape):
            if t[0] == "block":
                _, k, st, xin, ci, hin, w, h, b1, y1, b2, y = t
                m = g.op("HardSigmoid", y, alpha=1e30, beta=0.0)
                if first:  # dy' = mask * broadcast(dp)
                    d = R(
                        g.nc(
                            "Conv",
                            R(m, [1, N * w, h, h]),
                            R(dp, [N * w, 1, 1, 1]),
                            group=N * w,
                            kernel_shape=[1, 1],
                        ),
                        [N, w, h, h],
                    )
                    first = False
                else:
                    d = g.op("Mul", dy, m)
                dz2 = s.bnb(d, b2, k + 4, w, h)
                s.gr[k + 3] = emit(g, y1, dz2, N, w, h, h, w, 1)
                dy1 = g.nc("Conv", dz2, wblkT(g, s.p[k + 3], w, w), kernel_shape=[3, 3], pads=[1] * 4)
                d1 = g.op("Mul", dy1, g.op("HardSigmoid", y1, alpha=1e30, beta=0.0))
                dz1 = s.bnb(d1, b1, k + 1, w, h)
                s.gr[k] = emit(g, xin, dz1, N, ci, hin, hin, w, st)
                if st == 1:
                    dy = g.nc("Conv", dz1, wblkT(g, s.p[k], w, ci), "", d, kernel_shape=[3, 3], pads=[1] * 4)
                else:
                    dy = s.nsub(dz1, s.p[k], d, w, ci, h)
            else:
                _, X, bs, y = t
                c = widths[0]
                d = g.op("Mul", dy, g.op("HardSigmoid", y, alpha=1e30, beta=0.0))
                dz = s.bnb(d, bs, 1, c, H)
                s.gr[0] = s.stemw(X, dz, 3, H, c)
        gf = g.op("Concat", *[R(v, [-1]) for v in s.gr], axis=0)
        s.gf = gf
        m2 = g.op(
            "Add",
            g.op("Mul", Mf, g.c(np.float32(0.9))),
            g.op("Add", gf, g.op("Mul", Pf, g.c(np.float32(1e-4)))),
        )
        p2 = g.op("Sub", Pf, g.op("Mul", m2, lr))
        g.out(loss, p2, m2)

    def bn(s, z, k, c, h, res=None):
        g = s.g
        R = g.reshape
        N = s.N
        M = N * h * h
        mu = g.op("ReduceMean", R(g.nc("GlobalAveragePool", z), [N, c]), g.i([0]), keepdims=0)
        q = g.op(
            "ReduceSum",
            R(
                g.nc(
                    "Conv", R(z, [1, N * c, h, h]), R(z, [N * c, 1, h, h]), group=N * c, kernel_shape=[h, h]
                ),
                [N, c],
            ),
            g.i([0]),
            keepdims=0,
        )
        var = g.op("Sub", g.op("Mul", q, g.c(np.float32(1 / M))), g.op("Mul", mu, mu))
        inv = g.op("Reciprocal", g.op("Sqrt", g.op("Add", var, g.c(np.float32(EPS)))))
        a = g.op("Mul", s.p[k], inv)
        b = g.op("Sub", s.p[k + 1], g.op("Mul", mu, a))
        ins = [z, R(a, [c, 1, 1, 1]), b] + ([res] if res else [])
        y = g.nc("Conv", *ins, group=c, kernel_shape=[1, 1], activation="Relu")
        return y, (z, mu, inv, a)

    def bnb(s, d, b, k, c, h):
        g = s.g
        R = g.reshape
        N = s.N
        M = N * h * h
        z, mu, inv, a = b
        s1 = g.op("ReduceSum", R(g.nc("GlobalAveragePool", d), [N, c]), g.i([0]), keepdims=0)
        s1 = g.op("Mul", s1, g.c(np.float32(h * h)))
        s2 = g.op(
            "ReduceSum",
            R(
                g.nc(
                    "Conv", R(z, [1, N * c, h, h]), R(d, [N * c, 1, h, h]), group=N * c, kernel_shape=[h, h]
                ),
                [N, c],
            ),
            g.i([0]),
            keepdims=0,
        )
        dg = g.op("Mul", inv, g.op("Sub", s2, g.op("Mul", mu, s1)))
        s.gr[k] = dg
        s.gr[k + 1] = s1
        iM = g.c(np.float32(-1 / M))
        be = g.op("Mul", g.op("Mul", g.op("Mul", a, inv), dg), iM)
        ga = g.op("Sub", g.op("Mul", g.op("Mul", a, s1), iM), g.op("Mul", be, mu))
        u = g.nc("Conv", z, R(be, [c, 1, 1, 1]), ga, group=c, kernel_shape=[1, 1])
        return g.nc("Conv", d, R(a, [c, 1, 1, 1]), "", u, group=c, kernel_shape=[1, 1])

    def nsub(s, dz, Wn, dsc, O, I, h):
        g = s.g
        R = g.reshape
        N = s.N
        idx = []
        kk = {(0, 0): 1, (0, 1): 3, (1, 0): 2, (1, 1): 0}
        wz = g.op("Pad", Wn, g.i([0, 0, 0, 0, 0, 0, 1, 1]))
        for ph in (0, 1):
            for pw in (0, 1):
                for th in (0, 1):
                    for tw in (0, 1):
                        idx.append(kk[ph, th] * 4 + kk[pw, tw])
        w4 = g.op("Gather", R(wz, [O, I, 16]), g.i(idx), axis=2)
        w6 = R(
            g.op("Transpose", R(w4, [O // B, B, I // B, B, 4, 4]), perm=[4, 2, 0, 5, 1, 3]), [4 * I, O, 2, 2]
        )
        y = g.nc("Conv", dz, w6, kernel_shape=[2, 2], pads=[0, 0, 1, 1])
        E = np.zeros((4 * I, O, 1, 1), np.float32)
        o = (O - I) // 2
        for q in range(I):
            E[q, o + q] = 1
        Eb = np.ascontiguousarray(
            E.reshape(4 * I // B, B, O // B, B, 1, 1).transpose(0, 2, 4, 5, 3, 1)
        ).reshape(E.shape)
        y = g.nc("Conv", dsc, g.c(Eb), "", y, kernel_shape=[1, 1])
        if s.opt.get("nsub", "g") == "t":
            y = g.op("Transpose", R(y, [N, 2, 2, I // B, h, h, B]), perm=[0, 3, 4, 1, 5, 2, 6])
        else:
            ix = (
                np.arange(N * 4 * (I // B) * h * h, dtype=np.int32)
                .reshape(N, 2, 2, I // B, h, h)
                .transpose(0, 3, 4, 1, 5, 2)
                .reshape(-1)
            )
            y = g.op("Gather", R(y, [N * 4 * I // B * h * h, B]), g.c(ix), axis=0)
        return R(y, [N, I, 2 * h, 2 * h])

    def stemw(s, X, dz, C, H, O):
        g = s.g
        R = g.reshape
        N = s.N
        Nb = N // B
        Ob = O // B
        W = H
        v = g.op("Pad", R(X, [N, C * H, W]), g.i([0, 0, 1, 0, 0, 1]))
        v = g.nc("ReorderInput", R(v, [1, N, C * H, W + 2]))
        v = R(g.op("Transpose", R(v, [Nb, C, H * (W + 2) * B]), perm=[1, 0, 2]), [C, N, H, W + 2])
        idx = (
            np.arange(N * Ob * H * W, dtype=np.int32)
            .reshape(Nb, B, Ob, H * W)
            .transpose(2, 0, 3, 1)
            .reshape(-1)
        )
        f = R(g.op("Gather", R(dz, [N * Ob * H * W, B]), g.c(idx), axis=0), [O, N, H, W])
        y = g.nc("Conv", v, f, kernel_shape=[H, W], pads=[1, 0, 1, 0])
        return R(g.op("Transpose", R(y, [C, Ob, 9, B]), perm=[1, 3, 0, 2]), [O, C, 3, 3])


if __name__ == "__main__":
    net = Net()
    import torch, torch.nn as nn, torch.nn.functional as TF

    torch.set_num_threads(2)

    class Blk(nn.Module):
        def __init__(s, i, o):
            super().__init__()
            st = 1 if i == o else 2
            s.st = st
            s.p = (o - i) // 2
            s.c1 = nn.Conv2d(i, o, 3, st, 1, bias=False)
            s.b1 = nn.BatchNorm2d(o)
            s.c2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
            s.b2 = nn.BatchNorm2d(o)

        def forward(s, x):
            y = s.b2(s.c2(torch.relu(s.b1(s.c1(x)))))
            if s.st == 2:
                x = TF.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, s.p, s.p))
            return torch.relu(y + x)

    class R20(nn.Module):
        def __init__(s):
            super().__init__()
            s.c = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            s.b = nn.BatchNorm2d(16)
            L = []
            ci = 16
            for w in (16, 32, 64):
                for j in range(3):
                    L.append(Blk(ci, w))
                    ci = w
            s.l = nn.Sequential(*L)
            s.fc = nn.Linear(64, 10)

        def forward(s, x):
            return s.fc(s.l(torch.relu(s.b(s.c(x)))).mean((2, 3)))

    def mk(cl):
        m = R20()
        with torch.no_grad():
            for p, v in zip(m.parameters(), net.P0):
                p.copy_(torch.from_numpy(v))
        x = torch.from_numpy(net.g.feeds["images"])
        t = torch.from_numpy(net.g.feeds["targets"])
        if cl:
            m = m.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        o = torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

        def step():
            o.zero_grad()
            l = TF.cross_entropy(m(x), t)
            l.backward()
            o.step()
            return float(l)

        return m, step

    F = Form("ort", net.g)
    loss, p2, m2 = F.outs
    mA, sA = mk(True)
    mB, sB = mk(False)
    print("loss ort", loss, "torch", sA(), sB())
    tp = np.concatenate([p.grad.detach().contiguous().numpy().reshape(-1) for p in mA.parameters()])
    pf = net.g.feeds["params"]
    go = m2 - 1e-4 * pf
    print(
        "grad rel err",
        rel(go, tp),
        "per param max",
        max(
            rel(a, b)
            for a, b in zip(
                np.split(go, np.cumsum([p.size for p in net.P0])[:-1]),
                np.split(tp, np.cumsum([p.size for p in net.P0])[:-1]),
            )
        ),
    )
    T = {"ort": [], "torch cl": [], "torch": []}
    for i in range(12):
        F.run()
        T["ort"].append(F.t[-1])
        for n, f in (("torch cl", sA), ("torch", sB)):
            t = time.perf_counter()
            f()
            T[n].append((time.perf_counter() - t) * 1e3)
    for n, v in T.items():
        v = v[2:]
        print(
            f"{n:10s} median {np.median(v):7.1f} min {min(v):7.1f} ms  -> {128e3/np.median(v):6.0f} img/s (best {128e3/min(v):.0f})"
        )
