#!/usr/bin/env python3
"""Converts Keras classifiers with random weights by tf2onnx, and computes their
loss, logits and gradients with TensorFlow in float64, for the Go program beside
this file to compare with what the imported models compute.

usage: from_tensorflow.py FOLDER [NAME...]      (by tensorflow.sh, which makes its environment)

Each NAME gives FOLDER/NAME.onnx and FOLDER/NAME.0.safetensors. The committed model
of the tests is keras2_small with SIZE=16 (testdata/golden/foreign).

The converter folds a norm behind a convolution into its weights, so that the
tensors of the file are functions of Keras's: kernel·s, shift − mean·s, or s
alone, with s = scale/√(variance+ε). Which, is found by their values. TensorFlow
then computes with exactly the file's numbers (its variables are set from them in
float64) and its gradients become those of the file's tensors by the chain rule.
Norms that the file still has are trained, with the statistics of the batch.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

import keras as keras3
import tf_keras as keras2

CLASSES, SIZE, BATCH = 10, int(os.environ.get("SIZE", 64)), 4
FLOOR = 1e-3  # as in the Go program and in foreign.py


def small(k):
    """Layers that the large networks do not have, or not in this order."""
    l = k.layers
    return k.Sequential([
        l.InputLayer((SIZE, SIZE, 3)), l.Rescaling(1 / 127.5, offset=-1), l.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        l.BatchNormalization(), l.SeparableConv2D(24, 3, padding="same"), l.BatchNormalization(), l.LeakyReLU(), l.MaxPooling2D(),
        l.Conv2D(32, 3, dilation_rate=2, padding="same", use_bias=False), l.BatchNormalization(), l.ELU(),
        l.AveragePooling2D(3, strides=2, padding="same"), l.Flatten(), l.Dense(32, use_bias=False), l.BatchNormalization(),
        l.Activation("swish"), l.Dropout(0.2), l.Dense(24, activation="tanh"), l.LayerNormalization(), l.Dense(CLASSES, activation="softmax")])


def application(name):
    return lambda k: getattr(k.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES)


# name: (Keras, network, operator set, way of conversion)
MODELS = {
    "keras_mobilenetv2_opset9": (keras3, application("MobileNetV2"), 9, "keras"),
    "keras_mobilenetv2_opset13": (keras3, application("MobileNetV2"), 13, "keras"),
    "keras_mobilenetv2": (keras3, application("MobileNetV2"), 17, "command"),
    "keras_resnet50v2": (keras3, application("ResNet50V2"), 13, "keras"),
    "keras_efficientnetb0": (keras3, application("EfficientNetB0"), 17, "command"),
    "keras_small": (keras3, small, 9, "function"),
    "keras2_resnet50v2": (keras2, application("ResNet50V2"), 17, "keras"),
    "keras2_densenet121": (keras2, application("DenseNet121"), 13, "function"),
    "keras2_small": (keras2, small, 17, "function"),
}


def build(name, dtype):
    k, network, _, _ = MODELS[name]
    k.backend.set_floatx(dtype)
    if k is keras3:
        k.config.set_dtype_policy(dtype)
    else:
        k.mixed_precision.set_global_policy(dtype)
    k.backend.clear_session()
    model = network(k)
    k.backend.set_floatx("float32")
    return model


def kind(layer):
    return type(layer).__name__


def randomise(model, images):
    """No two tensors are equal, no norm is ones and zeros, and the statistics
    are near those of the images, as in a trained network."""
    rng = np.random.default_rng(0)
    for l in model.layers:
        weights = l.get_weights()
        if kind(l) == "BatchNormalization":
            shape = weights[0].shape
            weights = [rng.uniform(0.5, 1.5, shape), rng.uniform(-0.2, 0.2, shape), rng.normal(0, 0.1, shape), rng.uniform(0.5, 1.5, shape)]
        elif kind(l) == "LayerNormalization":
            weights = [rng.uniform(0.5, 1.5, w.shape) for w in weights]
        elif kind(l) == "Normalization":
            weights = [rng.uniform(0.2, 0.8, w.shape) if w.ndim else w for w in weights]
        else:
            weights = [rng.uniform(-0.1, 0.1, w.shape) if w.ndim == 1 else rng.normal(0, np.sqrt(2 / fan(l, w)), w.shape) for w in weights]
        l.set_weights(weights)
    norms = [l for l in model.layers if kind(l) == "BatchNormalization"]
    for l in norms:
        l.momentum = 0.0
    model(images, training=True)
    for l in norms:
        g, b, m, v = l.get_weights()
        l.set_weights([g, b, m * rng.uniform(0.9, 1.1, m.shape), (v + 1e-3) * rng.uniform(0.8, 1.2, v.shape)])


def fan(layer, w):
    if w.ndim < 3:
        return w.shape[0]
    return w.shape[0] * w.shape[1] * (1 if w is layer.get_weights()[0] and "Depthwise" in kind(layer) else w.shape[2])


def convert(name, model, path):
    k, _, opset, way = MODELS[name]
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="images")]
    if way == "keras":
        tf2onnx.convert.from_keras(model, input_signature=signature, opset=opset, output_path=path)
    elif way == "function":
        function = tf.function(lambda images: model(images, training=False), autograph=False)
        tf2onnx.convert.from_function(function, input_signature=signature, opset=opset, output_path=path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model.export(folder, verbose=False) if k is keras3 else model.save(folder, save_format="tf")
            subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--opset", str(opset), "--output", path],
                           check=True, capture_output=True)


class Match:
    """What the file's tensors are in terms of Keras's variables."""

    def __init__(self, model, onnx_model):
        self.kernels, self.vectors, self.kept = {}, {}, set()
        self.norms = {l.name: l for l in model.layers if kind(l) == "BatchNormalization"}
        self.scale = {n: scale(l) for n, l in self.norms.items()}
        inits = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx_model.graph.initializer
                 if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) > 1}
        self.values = inits
        vectors = {}  # name of a combination: its value
        for l in model.layers:
            for v in l.weights:
                if len(v.shape) == 1 and kind(l) not in ("BatchNormalization",):
                    vectors[("variable", l.name, index(l, v))] = v.numpy().astype(np.float64)
        for n, l in self.norms.items():
            g, b, m, _ = (w.astype(np.float64) for w in l.get_weights())
            vectors |= {("s", n): self.scale[n], ("shift", n): b - m * self.scale[n], ("gamma", n): g, ("beta", n): b}
            for l2 in model.layers:  # the bias of the layer before
                if kind(l2) != "BatchNormalization" and l2.get_weights() and l2.get_weights()[-1].shape == b.shape and l2.get_weights()[-1].ndim == 1:
                    vectors[("shift", n, l2.name)] = b - (m - l2.get_weights()[-1]) * self.scale[n]
            vectors |= {("statistic", n, 0): m, ("statistic", n, 1): l.get_weights()[3].astype(np.float64)}
        for name, w in inits.items():
            flat = w.flatten()
            if flat.size == max(w.shape):
                found = [k for k, v in vectors.items() if v.shape == flat.shape and np.abs(v - flat).max() < 2e-6 * max(1, np.abs(v).max())]
                if found:
                    self.vectors[name] = found[0]
                    continue
            if not self.kernel(model, name, w):
                print(f"  tensor {name} of shape {w.shape} is none of Keras's", flush=True)

    def kernel(self, model, name, w):
        for l in model.layers:
            for v in l.weights:
                if len(v.shape) < 2 or not (forms := layouts(l, v, w.shape)):
                    continue
                k = forms(v.numpy().astype(np.float64))
                out = (w.shape[0], -1) if w.ndim == 4 else (-1, w.shape[1])
                axis = 1 if w.ndim == 4 else 0
                a, b = k.reshape(out), w.reshape(out)
                s = (a * b).sum(axis) / (a * a).sum(axis)
                if np.abs(b - a * np.expand_dims(s, axis)).max() > 1e-5 * np.abs(b).max():
                    continue
                norm = None
                if np.abs(s - 1).max() > 1e-5:
                    norm = next((n for n, t in self.scale.items() if t.shape == s.shape and np.abs(t - s).max() < 1e-4), None)
                    if norm is None:
                        continue
                self.kernels[name] = (l.name, index(l, v), norm)
                return True
        return False


def index(layer, v):
    return next(i for i, w in enumerate(layer.weights) if w is v)


def layouts(layer, v, shape):
    """The function that brings a kernel of Keras into the file's layout, if it has that shape."""
    depthwise = "epthwise" in kind(layer) or kind(layer) == "SeparableConv2D" and index(layer, v) == 0
    if len(v.shape) == 2 and tuple(v.shape) == tuple(shape):
        return lambda k: k
    if len(v.shape) == 4 and len(shape) == 4:
        if depthwise:
            f = lambda k: k.transpose(2, 3, 0, 1).reshape(-1, 1, *k.shape[:2])
        else:
            f = lambda k: k.transpose(3, 2, 0, 1)
        if f(np.empty(v.shape)).shape == tuple(shape):
            return f
    return None


def back(layer, v_shape, w, depthwise):
    """The inverse of layouts."""
    if len(v_shape) == 2:
        return w
    if depthwise:
        return w.reshape(v_shape[2], v_shape[3], *v_shape[:2]).transpose(2, 3, 0, 1)
    return w.transpose(2, 3, 1, 0)


def scale(l):
    g, _, _, v = (w.astype(np.float64) for w in l.get_weights())
    return g / np.sqrt(v + l.epsilon)


def exact(single, double, match):
    """Gives double the values of single, or those that make it compute with the file's numbers."""
    for a, b in zip(single.layers, double.layers):
        b.set_weights([w.astype(np.float64) for w in a.get_weights()])
    of = dict(zip((l.name for l in single.layers), double.layers))
    shifts = {}
    for name, (what, layer, *more) in match.vectors.items():
        w, l = match.values[name].flatten(), of[layer]
        weights = l.get_weights()
        if what == "variable":
            weights[more[0]] = w
        elif what == "s":
            weights[0] = w * np.sqrt(weights[3] + l.epsilon)
        elif what in ("gamma", "beta"):
            weights[("gamma", "beta").index(what)] = w
            match.kept.add(layer)
        elif what == "shift":
            shifts[layer] = (w, more[0] if more else None)
        l.set_weights(weights)
    for layer, (w, bias) in shifts.items():
        weights = of[layer].get_weights()
        mean = weights[2] - (of[bias].get_weights()[-1] if bias else 0)
        weights[1] = w + mean * scale(of[layer])
        of[layer].set_weights(weights)
    for name, (layer, i, norm) in match.kernels.items():
        w, l = match.values[name], of[layer]
        if norm:
            s = scale(of[norm])
            w = w / (s.reshape(-1, 1, 1, 1) if w.ndim == 4 else s)
        weights = l.get_weights()
        depthwise = "epthwise" in kind(l) or kind(l) == "SeparableConv2D" and i == 0
        weights[i] = back(l, weights[i].shape, w, depthwise)
        l.set_weights(weights)
    return of


def step(model, of, match, images, targets, dtype):
    """Loss, logits, and the gradients of the file's tensors."""
    for l in of.values():
        if kind(l) == "BatchNormalization" and l.name in {of[n].name for n in match.norms}:
            l.trainable = True
    trained = [of[n] for n in match.norms if n in match.kept]
    folded = [of[n] for n in match.norms if n not in match.kept]
    variables = [v for l in of.values() for v in l.trainable_variables]
    raw = [getattr(v, "value", v) if hasattr(v, "path") and not isinstance(v, tf.Variable) else v for v in variables]
    for l in folded:
        l.trainable = False
    for l in of.values():
        if kind(l) == "Dropout":
            l.rate = 0.0
    last = model.layers[-1]
    last.activation = None
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for v in raw:
            tape.watch(v)
        logits = model(tf.constant(images, dtype), training=bool(trained))
        logp = tf.nn.log_softmax(logits)
        loss = -tf.reduce_mean(tf.reduce_sum(tf.constant(targets, dtype) * logp, 1))
    grads = tape.gradient(loss, raw)
    by = {id(v): g.numpy().astype(np.float64) if g is not None else np.zeros(v.shape) for v, g in zip(variables, grads)}
    for l in folded:
        l.trainable = True
    out = {"loss": loss.numpy().reshape(1), "logits": logits.numpy()}
    for name, (layer, i, norm) in match.kernels.items():
        l = of[layer]
        v = l.weights[i]
        g = layouts(l, v, match.values[name].shape)(by[id(v)])
        if norm:
            s = scale(of[norm])
            g = g / (s.reshape(-1, 1, 1, 1) if g.ndim == 4 else s)
        out["grad." + name] = g
    for name, (what, layer, *more) in match.vectors.items():
        l = of[layer]
        if what == "variable":
            v = l.weights[more[0]]
            g = by.get(id(v))
            if g is None:
                continue
        elif what == "statistic":
            continue
        elif what in ("gamma", "beta"):
            g = by[id(l.gamma if what == "gamma" else l.beta)]
        elif what == "shift":
            g = by[id(l.beta)]
        else:
            _, _, mean, variance = (w.astype(np.float64) for w in l.get_weights())
            bias = next((m[2] for m in match.vectors.values() if m[:2] == ("shift", layer) and len(m) > 2), None)
            if bias:
                mean = mean - of[bias].get_weights()[-1]
            g = by[id(l.gamma)] * np.sqrt(variance + l.epsilon) + mean * by[id(l.beta)]
        out["grad." + name] = g.reshape(match.values[name].shape)
    return out


def distance(got, want, least):
    return float(np.abs(np.asarray(got, np.float64) - want).max() / max(np.abs(want).max(), least, 1e-30))


def golden(name, folder):
    MODELS[name][0].utils.set_random_seed(0)
    single = build(name, "float32")
    rng = np.random.default_rng(1)
    images = rng.normal(size=(BATCH, SIZE, SIZE, 3)).astype(np.float32) * 50 + 120
    targets = np.exp(rng.random((BATCH, CLASSES)))
    targets = (targets / targets.sum(1, keepdims=True)).astype(np.float32)
    if not any(kind(l) in ("Rescaling", "Normalization") for l in single.layers):
        images = (images - 120) / 50
    randomise(single, images)
    path = folder / f"{name}.onnx"
    convert(name, single, str(path))
    model = onnx.load(str(path))
    match = Match(single, model)
    # The file computes what TensorFlow does.
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: images})[0]
    off = np.abs(theirs - single(images, training=False).numpy()).max()
    double = build(name, "float64")
    of = exact(single, double, match)
    last = double.layers[-1]
    last.activation = None
    evaluation = double(tf.constant(images, tf.float64), training=False).numpy()
    weights = double.get_weights()
    out = step(double, of, match, images, targets, tf.float64)
    double.set_weights(weights)
    rounded = step(single, {l.name: l for l in single.layers}, match, images, targets, tf.float32)
    least = FLOOR * max(np.abs(v).max() for k, v in out.items() if k.startswith("grad."))
    rounding = {
        "rounding.logits": distance(rounded["logits"], out["logits"], 0),
        "rounding.grad": max(distance(rounded[k], v, least) for k, v in out.items() if k.startswith("grad.")),
        "rounding.stat": 0,
    }
    out |= {"images": images.transpose(0, 3, 1, 2), "targets": targets, "eval": evaluation}
    out |= {k: np.array([v]) for k, v in rounding.items()}
    save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in out.items()}, str(folder / f"{name}.0.safetensors"))
    print(f"{name}: converted, {len(model.graph.node)} nodes, {sum(n.op_type == 'BatchNormalization' for n in model.graph.node)} norms kept, "
          f"ONNX Runtime's probabilities within {off:.1e} of TensorFlow's", flush=True)
    return off < 1e-4


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    ok = True
    for name in sys.argv[2:] or MODELS:
        ok = golden(name, folder) and ok
    sys.exit(not ok)


if __name__ == "__main__":
    main()
