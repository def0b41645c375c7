import numpy as np, onnx, time, sys, os
from onnx import helper as oh, numpy_helper as nh, TensorProto as TP
import onnxruntime as ort

rng = np.random.default_rng(0)


class G:
    def __init__(s, opset=20):
        s.nodes = []
        s.inits = []
        s.ins = []
        s.n = 0
        s.feeds = {}
        s.outs = []
        s.opset = opset
        s.cc = {}

    def inp(s, name, a):
        s.feeds[name] = np.ascontiguousarray(a)
        s.ins.append(oh.make_tensor_value_info(name, oh.np_dtype_to_tensor_dtype(a.dtype), a.shape))
        return name

    def c(s, a, dt=None):
        a = np.array(a, dtype=dt) if dt else np.asarray(a)
        if a.dtype == np.float64:
            a = a.astype(np.float32)
        k = (a.dtype.str, a.shape, a.tobytes())
        if k in s.cc:
            return s.cc[k]
        n = f"c{len(s.inits)}"
        s.inits.append(nh.from_array(a, n))
        s.cc[k] = n
        return n

    def i(s, a):
        return s.c(np.array(a, np.int64))

    def op(s, t, *ins, n=1, domain="", **at):
        outs = []
        for k in range(n):
            s.n += 1
            outs.append(f"t{s.n}")
        s.nodes.append(oh.make_node(t, list(ins), outs, domain=domain, **at))
        return outs[0] if n == 1 else outs

    def ms(s, t, *ins, n=1, **at):
        return s.op(t, *ins, n=n, domain="com.microsoft", **at)

    def nc(s, t, *ins, n=1, **at):
        return s.op(t, *ins, n=n, domain="com.microsoft.nchwc", **at)

    def reshape(s, x, shape):
        return s.op("Reshape", x, s.i(shape))

    def out(s, *names):
        s.outs += names

    def model(s):
        g = oh.make_graph(s.nodes, "g", s.ins, [oh.make_empty_tensor_value_info(o) for o in s.outs], s.inits)
        return oh.make_model(
            g,
            ir_version=10,
            opset_imports=[
                oh.make_opsetid("", s.opset),
                oh.make_opsetid("com.microsoft", 1),
                oh.make_opsetid("com.microsoft.nchwc", 1),
            ],
        )

    def session(s, level=99, cfg={}, threads=2, prof=None, tweak=None):
        so = ort.SessionOptions()
        so.intra_op_num_threads = threads
        so.log_severity_level = 3
        so.graph_optimization_level = {
            0: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
            1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
            2: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
            99: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
        }[level]
        so.add_session_config_entry("session.force_spinning_stop", "1")
        if os.environ.get("NOSPIN"):
            so.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for k, v in cfg.items():
            so.add_session_config_entry(k, v)
        if prof:
            so.enable_profiling = True
            so.profile_file_prefix = prof
        if tweak:
            tweak(so)
        return ort.InferenceSession(s.model().SerializeToString(), so, providers=["CPUExecutionProvider"])


class Form:
    def __init__(s, name, g, **kw):
        s.name = name
        s.g = g
        s.s = g.session(**kw)
        s.t = []
        s.outs = s.s.run(None, g.feeds)
        io = s.s.io_binding()
        s.keep = []
        for k, v in g.feeds.items():
            o = ort.OrtValue.ortvalue_from_numpy(v)
            s.keep.append(o)
            io.bind_ortvalue_input(k, o)
        for k, o in zip([x.name for x in s.s.get_outputs()], s.outs):
            o = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(o))
            s.keep.append(o)
            io.bind_ortvalue_output(k, o)
        s.io = io

    def run(s):
        t = time.perf_counter()
        s.s.run_with_iobinding(s.io)
        s.t.append((time.perf_counter() - t) * 1e3)


def rel(a, b):
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    if a.shape != b.shape:
        return 9.0 + 0 * a.size if a.size != b.size else rel(a.reshape(b.shape), b)
    return float(np.abs(a - b).max() / (np.abs(b).max() + 1e-30))


def bench(title, forms, ref=None, runs=15, flops=None, budget=6.0, check=True):
    """forms: list of (name, builder()->G [,kw])"""
    F = []
    print(f"\n## {title}", flush=True)
    for f in forms:
        try:
            F.append(Form(f[0], f[1]() if callable(f[1]) else f[1], **(f[2] if len(f) > 2 else {})))
        except Exception as e:
            print(f"  {f[0]:44s} FAIL {str(e)[:300]}", flush=True)
    r = ref if ref is not None else (F[0].outs if F else None)
    for f in F:
        f.run()
        f.run()
        f.t = []
    t0 = time.time()
    k = 0
    while k < runs or (time.time() - t0 < budget and k < runs * 4 and False):
        for f in F:
            f.run()
        k += 1
    best = min(np.percentile(f.t, 25) for f in F)
    for f in sorted(F, key=lambda f: np.percentile(f.t, 25)):
        e = max(rel(a, b) for a, b in zip(f.outs, r)) if check else 0
        m = np.percentile(f.t, 25)
        print(
            f"  {f.name:44s} {m:8.2f} ms (min {min(f.t):7.2f}) x{m/best:5.2f} {'%6.0f GF/s'%(flops/m/1e6) if flops else ''} err {e:.1e}{' BAD' if e>1e-4 else ''}",
            flush=True,
        )
    return {f.name: float(np.median(f.t)) for f in F}
