"""Runs a model in ONNX Runtime's Python package on the inputs that the Go side
was fed, and compares the outputs.

    python check.py REFERENCE.json [TOLERANCE]
"""

import base64
import json
import sys

import numpy as np
import onnx
import onnxruntime

with open(sys.argv[1]) as f:
    reference = json.load(f)
tolerance = float(sys.argv[2]) if len(sys.argv) > 2 else 1e-4

model = onnx.load(reference["model"])
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(reference["model"], providers=["CPUExecutionProvider"])
port = session.get_inputs()[0]
assert port.name == reference["input"], (port.name, reference["input"])

worst = 0.0
for case in reference["cases"]:
    x = np.frombuffer(base64.b64decode(case["input"]), dtype=case["type"]).reshape(case["shape"])
    if port.type == "tensor(float16)":
        x = x.astype(np.float16)
    outputs = session.run(None, {port.name: x})
    values = outputs[0][0].astype(np.float32)
    assert values.shape == (len(case["values"]),), (values.shape, len(case["values"]))
    worst = max(worst, float(np.abs(values - np.float32(case["values"])).max()))
    classes = outputs[1][0].tolist() if len(outputs) > 1 else list(range(len(values)))
    if case.get("classes"):
        assert classes == case["classes"], (classes, case["classes"])
    assert classes[int(values.argmax())] == case["top"], case["image"]

batch = np.concatenate([x, x])  # the last image twice: the batch is free
if session.run(None, {port.name: batch})[0].shape[0] != 2:
    sys.exit("the batch is not free")
good = worst <= tolerance
print(f"{'ok  ' if good else 'FAIL'} Python, onnxruntime {onnxruntime.__version__}, onnx.checker {onnx.__version__}: "
      f"{len(reference['cases'])} images, outputs within {worst:.1e} of Go's")
sys.exit(not good)
