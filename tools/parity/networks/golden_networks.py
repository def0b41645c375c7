"""Makes the golden of one training step of the larger networks, from PyTorch in
float64.

    python golden_networks.py            writes testdata/golden/networks.safetensors
    python golden_networks.py --check    recomputes and compares with the file
    python golden_networks.py --search N NAME  tries N salts and prints the best

Inputs are those of ../formula.py, with two differences: the coarse pattern is
of 4×4 cells whatever the size, and every norm that ends a block's residual
branch (bn2 of basic blocks, bn3 of bottlenecks) has the small scale.

The gradients would fill 300 MB, so each is stored as

    NAME.largest.PARAMETER   max|g|
    NAME.sample.PARAMETER    SAMPLES elements (sampled.py)
    NAME.project.PARAMETER   projections (sampled.py)
    NAME.grad.PARAMETER      all of it, if it has at most WHOLE elements
"""

import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import formula
import golden_file
import networks
from sampled import CLASSES, project, sample, start

SAMPLES, WHOLE = 32, 128

# name: (network, options, size, batch, salt)
NETWORKS = {
    "wrn16_4": ("wrn16_4", {}, 32, 4, 10),
    "resnet18_cifar": ("resnet18", {"stem": "cifar"}, 32, 4, 7),
    "resnet18": ("resnet18", {"stem": "imagenet"}, 64, 4, 2),
    "resnet50": ("resnet50", {"stem": "imagenet"}, 64, 2, 13),
    "resnet50_d": ("resnet50", {"stem": "imagenet", "variant": "D"}, 64, 2, 33),
}


def build(name, dtype):
    network, options, size, _, _ = NETWORKS[name]
    model = networks.build(network, CLASSES, size, **options)
    return start(model, network == "resnet50", dtype)


def loss_of(model, name, salt, dtype):
    _, _, size, n, _ = NETWORKS[name]
    images, targets = (torch.from_numpy(a).to(dtype) for a in formula.batch(salt, 0, n, CLASSES, size))
    logits = model(images)
    return F.cross_entropy(logits, targets), logits


def make(name):
    salt = NETWORKS[name][4]
    results = []
    for dtype in (torch.float64, torch.float32):
        model = build(name, dtype)
        loss, logits = loss_of(model, name, salt, dtype)
        loss.backward()
        results.append((loss.detach(), logits.detach(), {k: p.grad for k, p in model.named_parameters()},
                        {k: v for k, v in model.named_buffers() if "running_" in k}))
    (loss, logits, grads, stats), (_, _, rounded, _) = results
    worst = max(((rounded[k] - g).abs().max() / g.abs().max()).item() for k, g in grads.items())
    print(f"{name}: {sum(g.numel() for g in grads.values())} parameters, loss {loss.item():.4f}, "
          f"PyTorch's own float32 gradients off by {worst:.1e}")
    out = {f"{name}.loss": loss, f"{name}.logits": logits}
    for k, g in grads.items():
        out[f"{name}.project.{k}"] = project(k, g)
        out[f"{name}.largest.{k}"] = g.abs().max()
        out[f"{name}.sample.{k}"] = sample(k, g, SAMPLES)
        if g.numel() <= WHOLE:
            out[f"{name}.grad.{k}"] = g.float()
    for k, v in stats.items():
        if v.numel() <= WHOLE:
            out[f"{name}.stats.{k}"] = v.float()
    _, _, size, n, salt = NETWORKS[name]
    meta = {f"{name}.salt": str(salt), f"{name}.batch": str(n), f"{name}.size": str(size),
            f"{name}.parameters": str(sum(g.numel() for g in grads.values()))}
    return {k: v.contiguous() for k, v in out.items()}, meta


def check_torchvision():
    """Our module is torchvision's: the same names, shapes and outputs."""
    try:
        import torchvision
    except ImportError:
        print("torchvision is not installed: not compared")
        return
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for name in ("resnet18", "resnet50"):
        ours = networks.build(name, CLASSES, 64).eval()
        theirs = getattr(torchvision.models, name)(num_classes=CLASSES).eval()
        theirs.load_state_dict(ours.state_dict(), strict=True)
        with torch.no_grad():
            assert torch.allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6), name
    print("resnet18 and resnet50 are torchvision's", torchvision.__version__)


def main():
    p = golden_file.parser(search=True)
    p.add_argument("names", nargs="*", default=list(NETWORKS))
    args = p.parse_args()
    if args.search:
        for name in args.names:
            golden_file.search(name, args.search, lambda salt: golden_file.margin(lambda dtype: loss_of(build(name, dtype), name, salt, dtype)))
        return
    check_torchvision()
    tensors, meta = {}, {}
    for name in args.names:
        t, m = make(name)
        tensors |= t
        meta |= m
    sys.exit(not golden_file.finish(golden_file.path("networks"), tensors, meta, args.check))


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
