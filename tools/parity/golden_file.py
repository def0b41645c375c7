"""What the scripts of the goldens share: their flags, the file that they write or
check, and the search for inputs on which no rectifier or max pool is in doubt.
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
    """How many times the float32 error the nearest decision of forward(dtype) is: a
    ReLU's input to zero, or a max pool's largest input to the next. Either taken the
    other way moves a gradient by more than rounding does."""
    decisions, relu, max_pool2d = [], F.relu, F.max_pool2d

    def noting_relu(x, inplace=False):
        decisions.append(x.detach().clone())
        return relu(x)

    def noting_max_pool2d(x, kernel, stride, padding=0, *rest, **options):
        around = F.pad(x.detach(), (padding,) * 4, value=float("-inf"))
        decisions.append(F.unfold(around.flatten(0, 1)[:, None], kernel, stride=stride))
        return max_pool2d(x, kernel, stride, padding, *rest, **options)

    F.relu, F.max_pool2d = noting_relu, noting_max_pool2d
    try:
        for dtype in (torch.float64, torch.float32):
            forward(dtype)
    finally:
        F.relu, F.max_pool2d = relu, max_pool2d
    half = len(decisions) // 2
    return min(nearest(a, b) for a, b in zip(decisions[:half], decisions[half:]))


def nearest(exact, rounded):
    """The margin of one layer: of a ReLU from its inputs, of a max pool from its
    windows (planes × elements × windows)."""
    if exact.dim() == 3:
        best, at = exact.topk(2, 1)
        exact, rounded = best[:, 0] - best[:, 1], rounded.gather(1, at).diff(dim=1)[:, 0].neg()
        # Equals are zeros of a ReLU: whichever is taken, it passes no gradient on.
        apart = (exact > 0) & exact.isfinite()
        exact, rounded = exact[apart], rounded[apart]
    return (exact.abs().min() / (exact - rounded).square().mean().sqrt()).item()


def search(name, salts, margin_of):
    """Prints the three salts of the largest margins."""
    found = sorted(((margin_of(s), s) for s in range(salts)), reverse=True)
    print(name, [f"salt {s}: {m:.2f}" for m, s in found[:3]], flush=True)
