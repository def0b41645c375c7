"""Makes the golden of up to three training steps of the other families, from PyTorch in
float64, and checks the reference against torchvision and timm.

    python golden_families.py            writes testdata/golden/families.safetensors
    python golden_families.py --check    recomputes and compares with the file
    python golden_families.py --search N [NAME…]  tries N salts and prints the best of all steps
    python golden_families.py --large    the same of one step of the largest networks, into
                                         testdata/golden/families_large.safetensors

Inputs are those of ../formula.py with a coarse pattern of 4×4 cells whatever the
size. In bottlenecks the third norm is the small one. A draw NAME of step t
uses u = (draw("noise.t.NAME") + 1)/2: u itself, or, to keep a share, 1/keep
where u < keep and 0 elsewhere, rounded to float32.

For each network, in the order of its parameters (metadata NAME.names):

    NAME.losses       of the steps
    NAME.logits       of the first
    NAME.largest      max|g| of each parameter's first gradient
    NAME.sample       SAMPLES of its elements (sampled.py)
    NAME.project      its projections (sampled.py)
    NAME.moved        SAMPLES elements of what the steps of SGD (RATE, momentum
                      0.9, decay 1e-4) added to it, the same ones
    NAME.stats        SAMPLES elements of each running statistic after them (NAME.statnames)
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import families
import formula
import golden_file
import networks
from sampled import CLASSES, project, sample, start

SAMPLES, STEPS, RATE = 8, 3, 0.01

FIFTY, EIGHTEEN, EIGHT = (3, 4, 6, 3), (2, 2, 2, 2), (1, 1, 1)
# name: (constructor, size, batch, salt). Those of 50 layers are compared in their first
# step alone: on maps of 2×2 pixels and two images PyTorch's own float32 is off by more
# than the tolerance after it.
NETWORKS = {
    "shake26_2x32d": (lambda s: families.ShakeShake(32, CLASSES), 16, 4, 0),
    "pyramidnet20_a24": (lambda s: families.PyramidNet(20, 24, CLASSES, shakedrop=0.5), 16, 4, 0),
    "pyramidnet29_a24": (lambda s: families.PyramidNet(29, 24, CLASSES, bottleneck=True), 16, 4, 0),
    "amoebanet_b_1_16": (lambda s: families.AmoebaNet(1, 16, CLASSES, s, drop=0.2), 16, 4, 0),
    "resnext50_32x4d": (lambda s: families.Residual(FIFTY, CLASSES, True, "imagenet", groups=32, base=4), 64, 2, 21),
    "resnet50_a": (lambda s: families.Residual(FIFTY, CLASSES, True, "imagenet", variant="A"), 64, 2, 23),
    # Variant C is a stem, which resnet50_d has too (golden_networks.py): of 18 layers on
    # small images, as with 50 layers no salt of 30 keeps every rectifier and max pool
    # clear of float32's rounding; in its first step, salt 6 does by 41 times the error.
    "resnet18_c": (lambda s: families.Residual(EIGHTEEN, CLASSES, False, "imagenet", variant="C"), 36, 2, 6),
    "resnet18_se": (lambda s: families.Residual(EIGHTEEN, CLASSES, False, "imagenet", se=True), 64, 4, 0),
    "resnet18_preact": (lambda s: families.Residual(EIGHTEEN, CLASSES, False, "imagenet", preact=True), 64, 4, 0),
    "resnet8_drops": (lambda s: families.Residual(EIGHT, CLASSES, False, "small", dropout=0.3, stochastic_depth=0.5), 16, 4, 0),
}

# The largest of the survey's, one step each: with so many rectifiers one of them always
# stands where float32 rounds it to the other side, so that the salt does not matter.
LARGE = {
    "shake26_2x96d": (lambda s: families.ShakeShake(96, CLASSES), 8, 2, 0),
    "shake26_2x112d": (lambda s: families.ShakeShake(112, CLASSES), 8, 2, 0),
    "wrn28_10": (lambda s: networks.WideResNet(28, 10, CLASSES), 8, 2, 0),
    "resnet110": (lambda s: families.Residual((18, 18, 18), CLASSES, False, "small"), 8, 2, 0),
    "resnet152": (lambda s: families.Residual((3, 8, 36, 3), CLASSES, True, "imagenet"), 64, 2, 0),
    "pyramidnet110_a270": (lambda s: families.PyramidNet(110, 270, CLASSES, shakedrop=0.5), 8, 2, 0),
    "pyramidnet272_a200": (lambda s: families.PyramidNet(272, 200, CLASSES, bottleneck=True, shakedrop=0.5), 8, 2, 0),
    "amoebanet_b_6_128": (lambda s: families.AmoebaNet(6, 128, CLASSES, s, drop=0.2), 16, 2, 0),
}


def steps(name):
    return 1 if "50" in name or name == "resnet18_c" or name in LARGE else STEPS


def build(name, dtype):
    make, size, _, _ = (NETWORKS | LARGE)[name]
    model = make(size)
    bottleneck = hasattr(model, "layer1") and hasattr(model.layer1[0], "conv3")
    return start(model, bottleneck, dtype)


def noise(step, dtype):
    def draws(name, shape, keep):
        u = (formula.draws(f"noise.{step}.{name}", shape) + 1) / 2
        if keep:
            u = np.where(u < keep, 1 / keep, 0.0)
        return torch.from_numpy(u.astype(np.float32)).to(dtype)
    return draws


def loss_of(model, name, salt, step, dtype):
    _, size, n, _ = (NETWORKS | LARGE)[name]
    images, targets = (torch.from_numpy(a).to(dtype) for a in formula.batch(salt, step, n, CLASSES, size))
    families.draws = noise(step, dtype)
    logits = model(images)
    return model.loss(logits, targets) if hasattr(model, "loss") else F.cross_entropy(logits, targets), logits


def run(name, dtype, salt):
    model = build(name, dtype)
    start = {k: p.detach().clone() for k, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step in range(steps(name)):
        loss, logits = loss_of(model, name, salt, step, dtype)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            first, grads = logits.detach(), {k: p.grad.clone() for k, p in model.named_parameters()}
        optimizer.step()
    moved = {k: p.detach() - start[k] for k, p in model.named_parameters()}
    stats = {k: v for k, v in model.named_buffers() if "running_" in k}
    return losses, first, grads, moved, stats


def make(name):
    _, size, n, salt = (NETWORKS | LARGE)[name]
    losses, logits, grads, moved, stats = run(name, torch.float64, salt)
    rounded = run(name, torch.float32, salt)
    top = max(g.abs().max() for g in grads.values())
    worst = max(((rounded[2][k] - g).abs().max() / max(g.abs().max(), 1e-6 * top)).item() for k, g in grads.items())
    print(f"{name}: {sum(g.numel() for g in grads.values())} parameters, losses {[round(x, 4) for x in losses]}, PyTorch's own "
          f"float32 gradients off by {worst:.1e}, losses by {max(abs(a / b - 1) for a, b in zip(rounded[0], losses)):.1e}", flush=True)
    out = {
        "losses": torch.tensor(losses), "logits": logits.float(),
        "largest": torch.stack([g.abs().max() for g in grads.values()]).float(),
        "sample": torch.stack([sample(k, g, SAMPLES) for k, g in grads.items()]),
        "project": torch.stack([project(k, g) for k, g in grads.items()]).float(),
        "moved": torch.stack([sample(k, v, SAMPLES) for k, v in moved.items()]),
        "stats": torch.stack([sample(k, v, SAMPLES) for k, v in stats.items()]),
    }
    meta = {"salt": str(salt), "batch": str(n), "size": str(size), "parameters": str(sum(g.numel() for g in grads.values())),
            "names": " ".join(grads), "statnames": " ".join(stats)}
    if name in LARGE:
        meta["rounded"] = f"{worst:.2e}"
    return {f"{name}.{k}": v.contiguous() for k, v in out.items()}, {f"{name}.{k}": v for k, v in meta.items()}


def check_libraries():
    """Our modules are torchvision's and timm's: the same sizes, and the same outputs under our names."""
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    def equal(ours, theirs, names=None):
        ours, theirs = ours.eval(), theirs.eval()
        state = ours.state_dict()
        theirs.load_state_dict({names(k) if names else k: v for k, v in state.items()}, strict=True)
        with torch.no_grad():
            assert torch.allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)

    families.draws = None
    try:
        import torchvision
        equal(families.Residual(FIFTY, CLASSES, True, "imagenet", groups=32, base=4), torchvision.models.resnext50_32x4d(num_classes=CLASSES))
        print("resnext50_32x4d is torchvision's", torchvision.__version__)
    except ImportError:
        print("torchvision is not installed: not compared")
    try:
        import timm
    except ImportError:
        print("timm is not installed: not compared")
        return
    equal(families.Residual(EIGHTEEN, CLASSES, False, "imagenet", se=True), timm.create_model("seresnet18", num_classes=CLASSES))

    def resnetv2(k):
        part = k.split(".")
        if part[0] == "conv1":
            return "stem.conv." + part[1]
        if part[0] == "fc":
            return "head.fc." + part[1]
        if part[0] == "norm":
            return k
        stage = int(part[0][5:]) - 1
        rest = ".".join(part[2:]).replace("bn", "norm").replace("downsample.0", "downsample.conv")
        return f"stages.{stage}.blocks.{part[1]}.{rest}"

    ours = families.Residual(EIGHTEEN, CLASSES, False, "imagenet", preact=True)
    theirs = timm.create_model("resnetv2_18", num_classes=CLASSES)
    ours.fc.weight.data = ours.fc.weight.data.reshape(CLASSES, 512)
    shapes = {k: v.shape for k, v in theirs.state_dict().items()}
    state = {resnetv2(k): v for k, v in ours.state_dict().items()}
    theirs.load_state_dict({k: v.reshape(shapes[k]) for k, v in state.items()}, strict=True)
    ours, theirs = ours.eval(), theirs.eval()
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    print("resnet18 with se and with preact are timm's seresnet18 and resnetv2_18", timm.__version__)


def main():
    p = golden_file.parser(search=True)
    p.add_argument("--large", action="store_true")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    args.names = args.names or list(LARGE if args.large else NETWORKS)
    if args.search:
        for name in args.names:
            golden_file.search(name, args.search, lambda salt: golden_file.margin(lambda dtype: run(name, dtype, salt)))
        return
    if not args.large:
        check_libraries()
    tensors, meta = {}, {}
    for name in args.names:
        t, m = make(name)
        tensors |= t
        meta |= m
    path = golden_file.path("families_large" if args.large else "families")
    sys.exit(not golden_file.finish(path, tensors, meta, args.check, golden_file.near(1e-5)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
