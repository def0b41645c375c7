"""What the scripts of the goldens share: their flags, the file that they write or
check, and the search for inputs on which no rectifier is in doubt.
"""

import argparse
import os

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

FOLDER = os.path.relpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../testdata/golden"))


def path(name):
    return os.path.join(FOLDER, name + ".safetensors")


def parser(search=False):
    p = argparse.ArgumentParser()
    p.add_argument("--check", action="store_true", help="recompute and compare with the file")
    if search:
        p.add_argument("--search", type=int, metavar="N", help="try N salts and print the best")
    return p


def near(rtol, atol=1e-7):
    """Compares tensors element by element."""
    return lambda name, old, new: torch.allclose(old, new, rtol=rtol, atol=atol)


def finish(path, tensors, meta, check, close=near(1e-6)):
    """Writes the golden, or compares it with the file there is by close(name, old,
    new); tells whether all is well. PyTorch's version is noted and not compared."""
    if not check:
        save_file(tensors, path, meta | {"torch": torch.__version__})
        os.chmod(path, 0o644)
        size = os.path.getsize(path)
        print(f"{path}: {f'{size / 2**20:.2f} MiB' if size >= 2**20 else f'{size / 2**10:.0f} KiB'}, {len(tensors)} tensors")
        return True
    with safe_open(path, "pt") as f:
        old = {k: f.get_tensor(k) for k in f.keys()}
        same = {k: v for k, v in f.metadata().items() if k != "torch"} == meta
    ok = same and old.keys() == tensors.keys() and all(close(k, old[k], v) for k, v in tensors.items())
    print(f"{path}: {'as computed' if ok else 'DIFFERS'}")
    return ok


def margin(forward):
    """How many times the float32 error the ReLU input nearest to zero is, when
    forward(dtype) runs a network that is built anew."""
    inputs, relu = [], F.relu
    F.relu = lambda x, inplace=False: (inputs.append(x.detach().clone()), relu(x))[1]
    try:
        with torch.no_grad():
            for dtype in (torch.float64, torch.float32):
                forward(dtype)
    finally:
        F.relu = relu
    half = len(inputs) // 2
    return min((a.abs().min() / (a - b).square().mean().sqrt()).item() for a, b in zip(inputs[:half], inputs[half:]))


def search(name, salts, margin_of):
    """Prints the three salts of the largest margins."""
    found = sorted(((margin_of(s), s) for s in range(salts)), reverse=True)
    print(name, [f"salt {s}: {m:.2f}" for m, s in found[:3]], flush=True)
