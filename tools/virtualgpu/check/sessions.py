"""Single operators through ONNX Runtime's CUDA provider on the virtual device,
compared with its CPU provider in float32: convolutions in both directions and
layouts, with what is fused into them, pooling, products, norms, reductions.

    pip install --target DIR --no-deps onnxruntime-gpu==1.26.0
    pip install --target DIR numpy onnx flatbuffers packaging
    PYTHONPATH=DIR tools/virtualgpu/virtualgpu.sh run python3 tools/virtualgpu/check/sessions.py [SEED]

Prints what differs and the number of cases; exits with 1 where any does.
"""

import os
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
ort.set_default_logger_severity(3)
kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16, np.dtype(np.int64): TensorProto.INT64}
cases = failures = 0


def normal(*sizes):
    return random.standard_normal(sizes).astype(np.float32)


def model(nodes, feed, constants, output):
    """The nodes as a model that makes y of the feed and the constants."""
    inputs = [helper.make_tensor_value_info(name, kinds[v.dtype], v.shape) for name, v in feed.items()]
    outputs = [helper.make_tensor_value_info("y", output, None)]
    graph = helper.make_graph(nodes, "case", inputs, outputs, [numpy_helper.from_array(v, name) for name, v in constants.items()])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()


def run(data, feed, options):
    """y, on the CPU without options; on the device no node may go to the CPU."""
    settings = ort.SessionOptions()
    providers = ["CPUExecutionProvider"]
    if options is not None:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        providers = [("CUDAExecutionProvider", options)]
    session = ort.InferenceSession(data, settings, providers=providers)
    session.disable_fallback()
    return session.run(None, feed)[0]


def check(name, nodes, feed, constants={}, half=False, output=None, least=0, **options):
    """Compares; the error must be below that of the type, and above least."""
    global cases, failures
    cases += 1
    single = output or TensorProto.FLOAT
    want = run(model(nodes, feed, constants, single), feed, None)
    narrow = lambda values: {n: v.astype(np.float16) if half and v.dtype == np.float32 else v for n, v in values.items()}
    try:
        got = run(model(nodes, narrow(feed), narrow(constants), TensorProto.FLOAT16 if half else single), narrow(feed), options)
    except Exception as e:  # ONNX Runtime's own, of many kinds
        failures += 1
        print(f"{name}: {str(e)[:500]}")
        return
    error = np.abs(got.astype(np.float64) - want).max() / max(1e-30, np.abs(want).max())
    limit = 4e-3 if half or least else 3e-6
    if got.shape != want.shape or not least <= error <= limit:
        failures += 1
        print(f"{name}: {got.shape} {got.dtype}, error {error:.2e}")


def convolution(transposed, half, bias, **options):
    groups = int(random.choice([1, 1, 2, 4]))
    c, k = (groups * int(n) for n in random.integers(1, 6, 2))
    pair = lambda *of: [int(n) for n in random.choice(of, 2)]
    attributes = dict(kernel_shape=pair(1, 2, 3, 5), strides=pair(1, 1, 2, 3), dilations=pair(1, 1, 2), group=groups)
    pads = [int(n) for n in random.integers(0, 3, 4)]
    if transposed:
        pads = pads[:2] * 2
        attributes["output_padding"] = [int(random.integers(0, s)) for s in attributes["strides"]]
    x = normal(int(random.integers(1, 4)), c, *(int(n) for n in random.integers(9, 16, 2)))
    w = normal(c, k // groups, *attributes["kernel_shape"]) if transposed else normal(k, c // groups, *attributes["kernel_shape"])
    feed, constants = {"x": x}, {}
    (constants if "prefer_nhwc" in options else feed)["w"] = w
    if bias:
        feed["b"] = normal(k)
    operator = "ConvTranspose" if transposed else "Conv"
    node = helper.make_node(operator, ["x", "w"] + ["b"] * bias, ["y"], pads=pads, **attributes)
    check(f"{operator} {attributes} pads {pads} {x.shape} half {half} {options}", [node], feed, constants, half, **options)


def fused(activation, summand, half, **options):
    feed = {"x": normal(2, 4, 9, 9), "w": np.float32(0.2) * normal(6, 4, 3, 3), "b": normal(6)}  # small sums, or rounded halves show
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1])]
    if summand:
        feed["z"] = normal(2, 6, 9, 9)
        nodes.append(helper.make_node("Add", ["c", "z"], ["d"]))
    nodes.append(helper.make_node(activation, ["d" if summand else "c"], ["y"]))
    check(f"Conv and {activation}, summand {summand}, half {half} {options}", nodes, feed, half=half, **options)


for half in (False, True):
    for _ in range(8):
        for transposed in (False, True):
            convolution(transposed, half, False)
        convolution(False, half, True)
        convolution(False, half, False, prefer_nhwc="1")
    for activation in ("Relu", "Sigmoid", "Tanh"):
        for summand in (False, True):
            fused(activation, summand, half)
            fused(activation, summand, half, fuse_conv_bias="1")

image = {"x": normal(2, 3, 13, 11)}
for ceil in (0, 1):
    for operator in ("MaxPool", "AveragePool"):
        node = helper.make_node(operator, ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=ceil)
        check(f"{operator}, ceil_mode {ceil}", [node], image)
check("GlobalAveragePool", [helper.make_node("GlobalAveragePool", ["x"], ["y"])], image)
check("LRN", [helper.make_node("LRN", ["x"], ["y"], size=3, alpha=0.3)], image)
norm = {"x": normal(2, 6, 5, 7), "s": normal(6), "b": normal(6), "m": normal(6), "v": np.abs(normal(6))}
check("BatchNormalization", [helper.make_node("BatchNormalization", list(norm), ["y"])], norm)

for half in (False, True):
    for a_turned in (0, 1):
        for b_turned in (0, 1):
            factors = {"a": normal(*((5, 7) if a_turned else (7, 5))), "b": normal(*((9, 5) if b_turned else (5, 9)))}
            for summand in ({}, {"c": normal(9)}):
                feed = {**factors, **summand}
                check("Gemm", [helper.make_node("Gemm", list(feed), ["y"], transA=a_turned, transB=b_turned, alpha=0.5)], feed, half=half)
            batch = {name: np.stack([v, 2 * v, -v]) for name, v in factors.items()}
            node = helper.make_node("FusedMatMul", ["a", "b"], ["y"], transA=a_turned, transB=b_turned, alpha=0.5, domain="com.microsoft")
            check("FusedMatMul", [node], batch, half=half)
    check("MatMul of a repeated factor", [helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": normal(2, 3, 7, 5), "b": normal(3, 5, 9)}, half=half)

for operator in ("Softmax", "LogSoftmax"):
    for n in (10, 3000):
        check(f"{operator} of {n}", [helper.make_node(operator, ["x"], ["y"])], {"x": normal(4, n)})
tensor = {"x": normal(3, 4, 5, 6)}
for axes in ([1], [0, 2], [2, 3], [0, 2, 3], [1, 3]):
    node = helper.make_node("ReduceSum", ["x", "a"], ["y"], keepdims=0)
    check(f"ReduceSum {axes}", [node], tensor, {"a": np.array(axes, np.int64)})
    for operator in ("Mean", "Max", "Min", "L1", "L2", "SumSquare", "Prod", "LogSumExp"):
        check(f"Reduce{operator} {axes}", [helper.make_node("Reduce" + operator, ["x"], ["y"], axes=axes)], tensor)
for operator in ("ArgMax", "ArgMin"):
    check(operator, [helper.make_node(operator, ["x"], ["y"], axis=2)], tensor, output=TensorProto.INT64)
check("Transpose", [helper.make_node("Transpose", ["x"], ["y"])], {"x": normal(30, 50)})

# TF32 is ONNX Runtime's default; what it costs shows where the device emulates it.
os.environ["VIRTUALGPU_TF32"] = "1"
wide = {"x": normal(2, 16, 9, 9), "w": normal(8, 16, 3, 3)}
square = {"a": normal(30, 40), "b": normal(40, 20)}
for allowed in ("0", "1"):
    least = 1e-5 if allowed == "1" else 0
    check("Conv, use_tf32 " + allowed, [helper.make_node("Conv", ["x", "w"], ["y"])], wide, least=least, use_tf32=allowed)
    check("MatMul, use_tf32 " + allowed, [helper.make_node("MatMul", ["a", "b"], ["y"])], square, least=least, use_tf32=allowed)

print(f"{cases} cases, {failures} failures")
sys.stdout.flush()
os._exit(failures > 0)
