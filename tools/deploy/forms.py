"""Checks every exported form of a run in Python.

    python forms.py FOLDER [IMAGE…]

FOLDER holds what forms.sh exports there. Each file goes through onnx.checker
(full check, with shape inference) and is loaded by ONNX Runtime's Python package;
on the same images all must give the logits of the run's own model.onnx within
the form's tolerance, and softmax, top-k and preprocessing what NumPy and Pillow
make of them. IMAGEs are photographs of any size, for the preprocessing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import checker
from PIL import Image

TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "float16-weights": 2e-2, "int8": 0.5}
AGREEMENT = {"float32": 1.0, "float16": 0.97, "float16-weights": 0.97, "int8": 0.9}

folder = Path(sys.argv[1])
rng = np.random.default_rng(1)


def session(path):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


reference = session(folder / "reference.onnx")
meta = reference.get_modelmeta().custom_metadata_map
mean, std = (np.array(json.loads(meta[k]), np.float32) for k in ("mean", "std"))
channels, height, width = json.loads(meta["input_size"])


def normalise(pixels):
    return ((pixels.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)


def pictures(n, h, w):
    """Smooth random images: photographs' kind of spectrum, no data needed."""
    small = rng.integers(0, 256, (n, max(2, h // 6), max(2, w // 6), channels), np.uint8)
    out = [np.asarray(Image.fromarray(i.squeeze()).resize((w, h), Image.BICUBIC)) for i in small]
    return np.stack(out).reshape(n, h, w, channels)


def fit(pixels):
    """The loader's way: the largest window of the shape, scaled with antialias."""
    image = Image.fromarray(pixels.squeeze())
    w, h = min(image.width, image.height * width // height), min(image.height, image.width * height // width)
    left, top = (image.width - w) // 2, (image.height - h) // 2
    image = image.crop((left, top, left + w, top + h)).resize((width, height), Image.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)


def check(name, path):
    checker.check_model(str(path), full_check=True)
    s = session(path)
    meta = s.get_modelmeta().custom_metadata_map
    precision, port = meta.get("precision", "float32"), s.get_inputs()[0]
    sets = [pictures(64, height, width)]
    if port.name == "pixels":
        sets += [pictures(4, h, w) for h, w in ((3 * height, 4 * width), (height // 2, height // 2 + 1), (251, 97))]
        for f in sys.argv[2:]:
            sets.append(np.asarray(Image.open(f).convert("L" if channels == 1 else "RGB"))[None].reshape(1, *Image.open(f).size[::-1], channels))
    worst, agreed, total = 0.0, 0, 0
    for i, pixels in enumerate(sets):
        planes = normalise(np.stack([p if p.shape[:2] == (height, width) else fit(p) for p in pixels]))
        want = reference.run(None, {"images": planes})[0]
        x = pixels if port.name == "pixels" else planes
        if port.type == "tensor(float16)":
            x = x.astype(np.float16)
        out = [o.astype(np.float32) if o.dtype == np.float16 else o for o in s.run(None, {port.name: x})]
        if meta["output"] == "probabilities":
            want = softmax(want)
        best = out[1][:, 0] if len(out) == 2 else out[0].argmax(1)
        if len(out) == 2:  # the values of the best classes, in order
            assert (np.diff(out[0], axis=1) <= 0).all(), "scores are not in order"
            want_values = np.take_along_axis(want, out[1], 1)
        else:
            want_values = want
        assert out[0].dtype == np.float32 and out[0].shape == want_values.shape, (out[0].dtype, out[0].shape)
        scale = max(1.0, float(np.abs(want).max()))
        # Pixels that the graph scales may be one level of 255 beside Pillow's.
        allowed = TOLERANCE[precision] if i == 0 or precision != "float32" else 0.05
        gap = float(np.abs(out[0] - want_values).max()) / scale
        assert gap <= allowed, f"images of {pixels.shape[1:3]}: values are {gap:.2g} off, {allowed} is allowed"
        worst = max(worst, gap)
        agreed += int((best == want.argmax(1)).sum())
        total += len(best)
    assert agreed >= AGREEMENT[precision] * total, f"the best class agrees on {agreed} of {total} images"
    return f"{precision}, {port.name} to {', '.join(o.name for o in s.get_outputs())}: within {worst:.1e}, same class on {agreed} of {total}"


failed = 0
print(f"onnxruntime {ort.__version__}, onnx {onnx.__version__}")
for path in sorted(folder.glob("*.onnx")):
    if path.name == "reference.onnx":
        continue
    try:
        print(f"ok   {path.name}: {check(path.stem, path)}")
    except Exception as e:  # checker and runtime raise a dozen unrelated types
        failed += 1
        print(f"FAIL {path.name}: {' '.join(str(e).split())[:300]}")
sys.exit(1 if failed else 0)
