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
    NAME.sample.PARAMETER    SAMPLES elements, number word("sample." + PARAMETER, i) mod n
    NAME.project.PARAMETER   PROJECTIONS numbers ⟨g, p⟩/√n, p = draw("project.k." + PARAMETER)
    NAME.grad.PARAMETER      all of it, if it has at most WHOLE elements

An error e anywhere in g moves a projection by about |e|₂/√(3n).
"""

import argparse
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import formula
import networks

PATH = os.path.relpath(os.path.join(os.path.dirname(__file__), "../../../testdata/golden/networks.safetensors"))
PROJECTIONS, SAMPLES, WHOLE, CLASSES = 2, 32, 128, 10

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
    bottleneck = network == "resnet50"
    state = {}
    for k, v in model.state_dict().items():
        if k.endswith("num_batches_tracked"):
            continue
        t = formula.state_tensor(k, tuple(v.shape))
        # formula.py makes bn2 small; in a bottleneck bn3 ends the branch.
        if bottleneck and k.endswith("bn2.weight"):
            t = t * np.float32(4)
        elif bottleneck and k.endswith("bn3.weight"):
            t = t * np.float32(0.25)
        state[k] = torch.from_numpy(t)
    model.load_state_dict(state, strict=False)
    return model.to(dtype).train()


def loss_of(model, name, salt, dtype):
    _, _, size, n, _ = NETWORKS[name]
    images, targets = (torch.from_numpy(a).to(dtype) for a in formula.batch(salt, 0, n, CLASSES, size))
    logits = model(images)
    return F.cross_entropy(logits, targets), logits


def project(name, g):
    g = g.flatten().numpy()
    return torch.tensor([formula.draws(f"project.{k}.{name}", g.shape) @ g / np.sqrt(g.size)
                         for k in range(PROJECTIONS)])


def sample(name, g):
    index = formula.words(f"sample.{name}", SAMPLES) % np.uint64(g.numel())
    return g.flatten()[torch.from_numpy(index.astype(np.int64))].float()


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
        out[f"{name}.sample.{k}"] = sample(k, g)
        if g.numel() <= WHOLE:
            out[f"{name}.grad.{k}"] = g.float()
    for k, v in stats.items():
        if v.numel() <= WHOLE:
            out[f"{name}.stats.{k}"] = v.float()
    _, _, size, n, salt = NETWORKS[name]
    meta = {f"{name}.salt": str(salt), f"{name}.batch": str(n), f"{name}.size": str(size),
            f"{name}.parameters": str(sum(g.numel() for g in grads.values()))}
    return {k: v.contiguous() for k, v in out.items()}, meta


def margin(name, salt):
    """How many times the float32 error the ReLU input nearest to zero is."""
    inputs, relu = [], F.relu
    F.relu = lambda x, inplace=False: (inputs.append(x.clone()), relu(x))[1]
    try:
        with torch.no_grad():
            for dtype in (torch.float64, torch.float32):
                loss_of(build(name, dtype), name, salt, dtype)
    finally:
        F.relu = relu
    half = len(inputs) // 2
    return min((a.abs().min() / (a - b).square().mean().sqrt()).item()
               for a, b in zip(inputs[:half], inputs[half:]))


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
    p = argparse.ArgumentParser()
    p.add_argument("--check", action="store_true")
    p.add_argument("--search", type=int, metavar="N")
    p.add_argument("names", nargs="*", default=list(NETWORKS))
    args = p.parse_args()
    if args.search:
        for name in args.names:
            found = sorted(((margin(name, s), s) for s in range(args.search)), reverse=True)
            print(name, [f"salt {s}: {m:.2f}" for m, s in found[:3]], flush=True)
        return
    check_torchvision()
    tensors, meta = {}, {"torch": torch.__version__}
    for name in args.names:
        t, m = make(name)
        tensors |= t
        meta |= m
    if not args.check:
        save_file(tensors, PATH, meta)
        os.chmod(PATH, 0o644)
        print(f"{PATH}: {os.path.getsize(PATH) / 2**20:.2f} MiB, {len(tensors)} tensors")
        return
    with safe_open(PATH, "pt") as f:
        old = {k: f.get_tensor(k) for k in f.keys()}
        same = {k: v for k, v in f.metadata().items() if k != "torch"}
    ok = old.keys() == tensors.keys() and same == {k: v for k, v in meta.items() if k != "torch"} and all(
        torch.allclose(old[k], v, rtol=1e-6, atol=1e-7) for k, v in tensors.items())
    print(f"{PATH}: {'as computed' if ok else 'DIFFERS'}")
    sys.exit(not ok)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
