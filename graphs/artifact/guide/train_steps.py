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
if "average" in manifest:  # it begins where the state does
    state["average_params"] = state["params"]
    moving = sum(t["size"] for t in manifest["statistics"] or [] if not t.get("frozen"))
    if moving:
        state["average_stats"] = state["stats"][:moving]
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
inputs, outputs = ([p.name for p in ports] for ports in (step.get_inputs(), step.get_outputs()))


def drawn(n):
    """The classes of a batch for step n, and what that step takes beside the state."""
    labels = rng.integers(0, classes, batch)
    feed = {"images": fed(images_of(labels)), "targets": np.eye(classes, dtype=np.float32)[labels]}
    # The learning rate warms up over ten steps; rules that count get the number.
    scalars = dict(hyper, lr=hyper["lr"] * min(1, (n + 1) / 10), step=n + 1)
    scalars["average_share"] = max(0.1, 1 / (n + 1))
    feed |= {name: np.array(scalars[name], np.float32) for name in hyper if name in inputs}
    if "noise" in inputs:
        feed["noise"] = noise()
    if "teacher" in inputs:  # the logits of a teacher go here: this one finds all classes equal
        feed["teacher"] = np.zeros((batch, classes), np.float32)
    return labels, feed


def run(feed):
    """Runs the model and keeps the state that it returns."""
    global state
    out = dict(zip(outputs, step.run(None, {**feed, **state})))
    state = {name: out[name + "_out"] for name in state}
    return out


def one(n):
    """Takes step n, by the sum of the gradients of several batches if the files are made for that."""
    if "accumulate" not in manifest:
        labels, feed = drawn(n)
        return [(labels, run(feed))]
    before, gradients = state, np.zeros_like(state["params"])
    for left in reversed(range(round(1 / hyper["gradient_weight"]))):
        labels, feed = drawn(n)
        out = run({**feed, "gradients": gradients})
        gradients = out["gradients_out"]
        if left:  # only the last part's update counts; the statistics move with each
            state.update({name: v for name, v in before.items() if name != "stats"})
    return [(labels, out)]


def several(n, count):
    """Takes steps n, n + 1, … in one run: what each takes, stacked, and what each gives."""
    batches = [drawn(n + i) for i in range(count)]
    out = run({name: np.stack([feed[name] for _, feed in batches]) for name in batches[0][1]} | {"steps": np.array([count], np.int64)})
    return [(labels, {name: out[name][i] for name in ("loss", "logits")}) for i, (labels, _) in enumerate(batches)]


steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
taken = 0
while taken < steps:
    # A run of a model with a loop takes as many steps as it is told to.
    for labels, out in several(taken, min(4, steps - taken)) if "loop" in manifest else one(taken):
        taken += 1
        right = float((out["logits"].argmax(1) == labels).mean())
        print(f"step {taken} loss {float(out['loss']):.4f} accuracy {right:.3f}", flush=True)

# eval.onnx takes the state as it is, and any number of images.
labels = rng.integers(0, classes, 64)
images = images_of(labels)
evaluate = ort.InferenceSession(os.path.join(here, "eval.onnx"), providers=["CPUExecutionProvider"])


def accuracy(state):
    feed = {i.name: state[i.name] for i in evaluate.get_inputs() if i.name in state}
    return float((evaluate.run(["logits"], {"images": images, **feed})[0].argmax(1) == labels).mean())


print(f"evaluation accuracy {accuracy(state):.3f}")
if "average" in manifest:
    average = {"params": state["average_params"]}
    if "stats" in state:  # frozen ones, which have no average, come last
        moved = state.get("average_stats", state["stats"][:0])
        average["stats"] = np.concatenate([moved, state["stats"][len(moved):]])
    print(f"evaluation of the average accuracy {accuracy(average):.3f}")
