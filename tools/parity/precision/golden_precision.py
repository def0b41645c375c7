"""Makes the goldens of mixed precision: one training step of PyTorch under
automatic mixed precision on the CPU, and the truth beside it.

    python golden_precision.py           writes testdata/golden/mixed_precision.safetensors
    python golden_precision.py --check   recomputes and compares with the file

Networks and inputs are those of the other goldens (formula.py, resnet_cifar.py)
with more images. Three times the same step:

    float64   the truth
    float32   PyTorch in single precision, printed only
    half      torch.autocast("cpu", dtype=torch.float16) around the network, the
              loss in float32 times 1024 (GradScaler's arithmetic), gradients
              divided by it in float32

It prints how far the half gradients are from the true ones, each tensor by its
Euclidean norm: what another implementation of mixed precision may be off too.
"""

import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import formula
import golden_file
from golden_resnet20 import build

SCALE = 1024.0

# prefix of the tensors: (network, batch, salt of the images)
NETWORKS = {
    "b.": (dict(depth=8, option="B"), 32, 23),
    "preact_b.": (dict(depth=8, option="B", preact=True), 32, 77),
}


def step(net, n, salt, dtype, half=False):
    """Loss, logits and gradients of the first step, by name, float64."""
    model = build(net, dtype).train()
    images, targets = (torch.from_numpy(a).to(dtype) for a in formula.batch(salt, 0, n))
    with torch.autocast("cpu", dtype=torch.float16, enabled=half):
        logits = model(images)
    if half:
        assert logits.dtype == torch.float16, logits.dtype
    logits = logits.to(dtype)
    loss = F.cross_entropy(logits, targets)
    scale = SCALE if half else 1.0
    (loss * scale).backward()
    out = {"loss": loss.detach(), "logits": logits.detach()}
    for k, p in model.named_parameters():
        assert torch.isfinite(p.grad).all(), k
        out["grad." + k] = p.grad / scale
    return {k: v.double() for k, v in out.items()}


def distances(got, want):
    """Relative Euclidean distance of every gradient, the largest, and of all together."""
    names = [k for k in want if k.startswith("grad.")]
    each = {k: ((got[k] - want[k]).norm() / want[k].norm()).item() for k in names}
    worst = max(each, key=each.get)
    join = lambda d: torch.cat([d[k].flatten() for k in names])
    return f"{(join(got) - join(want)).norm() / join(want).norm():.2g} together, {each[worst]:.2g} at most ({worst})"


def main():
    args = golden_file.parser().parse_args()
    tensors, meta = {}, {"scale": str(SCALE)}
    for prefix, (net, n, salt) in NETWORKS.items():
        truth = step(net, n, salt, torch.float64)
        single = step(net, n, salt, torch.float32)
        half = step(net, n, salt, torch.float32, half=True)
        print(f"{prefix} float32 from float64: {distances(single, truth)}")
        print(f"{prefix} autocast from float64: {distances(half, truth)}")
        for k in truth:
            tensors[f"{prefix}half.{k}"] = half[k].float().contiguous()
            tensors[f"{prefix}float64.{k}"] = truth[k].float().contiguous()
        images, targets = formula.batch(salt, 0, n)
        meta |= {prefix + "batch": str(n), prefix + "salt": str(salt),
                 prefix + "sha256.images": formula.digest([images]), prefix + "sha256.targets": formula.digest([targets])}
    # Another machine's kernels round elsewhere.
    close = lambda name, old, new: (old - new).norm() <= (0.1 if ".half." in name else 1e-5) * new.norm()
    sys.exit(not golden_file.finish(golden_file.path("mixed_precision"), tensors, meta, args.check, close))


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
