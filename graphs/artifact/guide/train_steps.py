"""Trains a few steps with the files beside this one, on the stock ONNX Runtime.

    pip install onnxruntime numpy
    python train_steps.py [STEPS]

The images are made up: each class has a pattern of its own, under noise. To
train on your own, feed normalised images and targets whose rows sum to one.
"""

import json
import math
import os
import sys

import numpy as np
import onnxruntime as ort

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "manifest.json"), encoding="utf-8") as f:
    manifest = json.load(f)
rng = np.random.default_rng(1)
batch, classes = manifest["batch"], manifest["model"]["classes"]
size = manifest["model"]["input"]


def initial(tensor):
    n, init = tensor["size"], tensor["init"]
    kind = init.get("kind") or "zeros"
    if kind == "zeros":
        return np.zeros(n)
    if kind == "ones":
        return np.ones(n)
    if kind == "uniform":
        return rng.uniform(-init["bound"], init["bound"], n)
    fan = init["fan"] if kind.startswith("he_") else (init["fan_in"] + init["fan_out"])
    if kind.endswith("_normal"):
        return rng.normal(0, math.sqrt(2 / fan), n)
    bound = math.sqrt(6 / fan)
    return rng.uniform(-bound, bound, n)


def vector(tensors):
    return np.concatenate([initial(t) for t in tensors] or [np.zeros(0)]).astype(np.float32)


# The state: flat vectors that every step reads and returns.
state = {"params": vector(manifest["parameters"])}
for slot in manifest["slots"] or []:
    state[slot["name"]] = np.full_like(state["params"], slot["init"])
if manifest["statistics"]:
    state["stats"] = vector(manifest["statistics"])
if "precision" in manifest:
    state["loss_scale"] = np.array([manifest["precision"]["loss_scale"], 0, 0], np.float32)
hyper = {h["name"]: h["default"] for h in manifest["hyperparameters"]}

patterns = rng.normal(0, 1, (classes, *size)).astype(np.float32)


def images_of(labels):
    return (patterns[labels] + rng.normal(0, 1, (len(labels), *size))).astype(np.float32)


def noise():
    parts = []
    for r in manifest.get("random") or []:
        keep = r.get("keep", 0)
        u = rng.random(r["size"])
        parts.append((u < keep) / keep if keep else u)
    return np.concatenate(parts).astype(np.float32)


def fed(x):
    """What the step takes: normalised images, or 8-bit ones that it normalises."""
    if "pixels" not in manifest:
        return x
    scale, shift = (np.reshape(manifest["pixels"][k], (-1, 1, 1)) for k in ("scale", "shift"))
    return np.clip(np.rint((x - shift) / scale), 0, 255).astype(np.uint8)


step = ort.InferenceSession(os.path.join(here, "step.onnx"), providers=["CPUExecutionProvider"])
outputs = [o.name for o in step.get_outputs()]
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
for n in range(steps):
    labels = rng.integers(0, classes, batch)
    feed = {"images": fed(images_of(labels)), "targets": np.eye(classes, dtype=np.float32)[labels], **state}
    # The learning rate warms up over ten steps; rules that count get the number.
    scalars = dict(hyper, lr=hyper["lr"] * min(1, (n + 1) / 10), step=n + 1)
    for i in step.get_inputs():
        if i.name in feed:
            continue
        if i.name in hyper:
            feed[i.name] = np.array(scalars[i.name], np.float32)
        elif i.name == "noise":
            feed[i.name] = noise()
        else:  # what only some steps have: a teacher's logits, a sum of gradients
            feed[i.name] = np.zeros(i.shape, np.float32)
    out = dict(zip(outputs, step.run(None, feed)))
    state = {name: out[name + "_out"] for name in state}
    right = float((out["logits"].argmax(1) == labels).mean())
    print(f"step {n + 1} loss {float(out['loss']):.4f} accuracy {right:.3f}", flush=True)

# eval.onnx takes the state as it is, and any number of images.
labels = rng.integers(0, classes, 64)
evaluate = ort.InferenceSession(os.path.join(here, "eval.onnx"), providers=["CPUExecutionProvider"])
feed = {i.name: state[i.name] for i in evaluate.get_inputs() if i.name in state}
logits = evaluate.run(["logits"], {"images": images_of(labels), **feed})[0]
print(f"evaluation accuracy {float((logits.argmax(1) == labels).mean()):.3f}")
