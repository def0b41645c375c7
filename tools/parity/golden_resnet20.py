"""Makes the goldens of one training step and of 20, from PyTorch in float64.

    python golden_resnet20.py            writes testdata/golden/*.safetensors
    python golden_resnet20.py --check    recomputes and compares with the files
    python golden_resnet20.py --search N tries N salts and prints the best

Inputs come from formula.py (see there), so the files hold results only.
testdata/golden/README.md names the tensors. Beside the truth (float64, rounded
to float32 where a tensor is large) this script prints how far PyTorch's own
float32 is from it, which is the floor for every tolerance.
"""

import sys

import torch
import torch.nn.functional as F

import formula
import golden_file
from resnet_cifar import ResNet

STEPS, MOMENTUM, LR = 20, 0.9, 0.01

# name of a curve: (Nesterov, weight decay, decay skips norms and biases).
# A decay of 1e-4 moves the loss less than the tolerance within 20 steps; the
# strong one is there to catch a decay that is missing or misplaced.
CURVES = {
    "sgd": (False, 1e-4, False),
    "nesterov": (True, 1e-4, True),
    "sgd_decay": (False, 0.2, False),
    "nesterov_decay": (True, 0.2, True),
}

# file: (prefix of the tensors, network, batch, salt of the images, curves)
GOLDENS = {
    "resnet20_step": [("", dict(depth=20, option="A"), 8, 174, list(CURVES))],
    "resnet8_variants": [
        ("b.", dict(depth=8, option="B"), 4, 23, ["sgd"]),
        ("preact_a.", dict(depth=8, option="A", preact=True), 4, 81, ["sgd"]),
        ("preact_b.", dict(depth=8, option="B", preact=True), 4, 77, ["sgd"]),
    ],
}


def build(net, dtype):
    """The network in its initial state (formula.py)."""
    model = ResNet(**net)
    state = {
        k: torch.from_numpy(formula.state_tensor(k, tuple(v.shape)))
        for k, v in model.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    return model.to(dtype)


def statistics(model):
    return {k: v for k, v in model.named_buffers() if "running_" in k}


def forward(model, salt, step, n, dtype):
    images, targets = (torch.from_numpy(a).to(dtype) for a in formula.batch(salt, step, n))
    logits = model(images)
    return F.cross_entropy(logits, targets), logits


def step1(net, n, salt, dtype):
    """Loss, logits, gradients and statistics of the first step, by name."""
    model = build(net, dtype)
    with torch.inference_mode():
        eval_logits = forward(model.eval(), salt, 0, n, dtype)[1]
    loss, logits = forward(model.train(), salt, 0, n, dtype)
    loss.backward()
    out = {"loss": loss.detach(), "logits": logits.detach(), "eval.logits": eval_logits.clone()}
    out |= {"grad." + k: p.grad for k, p in model.named_parameters()}
    out |= {"stats." + k: v.clone() for k, v in statistics(model).items()}
    return {k: v.double() for k, v in out.items()}


def train(net, n, salt, dtype, nesterov, decay, skip, perturb=None):
    """Losses of STEPS steps (float64 vector) and the statistics after them."""
    model = build(net, dtype).train()
    if perturb is not None:
        rng = torch.Generator().manual_seed(perturb)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + 2e-7 * torch.randn(p.shape, generator=rng, dtype=dtype))
    vectors = [p for p in model.parameters() if p.dim() == 1]
    others = [p for p in model.parameters() if p.dim() > 1]
    groups = [{"params": others}, {"params": vectors, "weight_decay": 0 if skip else decay}]
    sgd = torch.optim.SGD(groups, LR, MOMENTUM, weight_decay=decay, nesterov=nesterov)
    losses = []
    for t in range(STEPS):
        loss, _ = forward(model, salt, t, n, dtype)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64), {
        k: v.double() for k, v in statistics(model).items()
    }


def worst(got, want):
    """The largest max|a−b|/max|b| over tensors by name, and that name."""
    rel = {k: ((got[k] - want[k]).abs().max() / want[k].abs().max()).item() for k in want}
    name = max(rel, key=rel.get)
    return f"{rel[name]:.1e} ({name})"


def relative(a, b):
    return f"{((a - b).abs() / b.abs()).max().item():.1e}"


def make(prefix, net, n, salt, curves):
    """All tensors of one network, and the digests of its inputs."""
    truth = step1(net, n, salt, torch.float64)
    print(f"{prefix or 'resnet20.'} float32 against float64, step 1: "
          f"{worst(step1(net, n, salt, torch.float32), truth)}")
    out = {k: v if k == "loss" else v.float() for k, v in truth.items()}
    reference = {}
    for name in curves:
        nesterov, decay, skip = CURVES[name]
        run = lambda dtype, **kw: train(net, n, salt, dtype, nesterov, decay, skip, **kw)
        (f64, s64), (f32, s32) = run(torch.float64), run(torch.float32)
        nudged = max(relative(run(torch.float64, perturb=i)[0], f64) for i in range(3))
        reference[name] = f64
        print(f"  {name}: {f64[0]:.4f} to {f64[-1]:.4f}; float32 {relative(f32, f64)}, "
              f"weights nudged by 2e-7 {nudged}, statistics after {STEPS} {worst(s32, s64)}")
        out[f"curve.{name}.float64"] = f64
        out[f"curve.{name}.float32"] = f32
        if name == "sgd":
            out |= {f"stats{STEPS}." + k: v.float() for k, v in s64.items()}
    for a, b in (("sgd", "nesterov"), ("sgd", "sgd_decay"), ("nesterov", "nesterov_decay"),
                 ("sgd_decay", "nesterov_decay")):
        if a in reference and b in reference:
            print(f"  {a} and {b} differ by {relative(reference[a], reference[b])}")
    state = build(net, torch.float32).state_dict()
    state = [state[k].numpy() for k in sorted(state) if not k.endswith("num_batches_tracked")]
    images, targets = formula.batch(salt, 0, n)
    meta = {
        "batch": str(n),
        "salt": str(salt),
        "sha256.state": formula.digest(state),
        "sha256.images": formula.digest([images]),
        "sha256.targets": formula.digest([targets]),
    }
    return ({prefix + k: v.contiguous() for k, v in out.items()},
            {prefix + k: v for k, v in meta.items()})


def main():
    args = golden_file.parser(search=True).parse_args()
    well = True
    for file, parts in GOLDENS.items():
        if args.search:
            for prefix, net, n, _, _ in parts:
                golden_file.search(f"{file} {prefix}", args.search, lambda salt: golden_file.margin(lambda dtype: forward(build(net, dtype).train(), salt, 0, n, dtype)))
            continue
        tensors, meta = {}, {"lr": str(LR), "momentum": str(MOMENTUM)}
        for part in parts:
            t, m = make(*part)
            tensors |= t
            meta |= m
        # Curves in float32 depend on the machine.
        close = lambda name, old, new: torch.allclose(old, new, rtol=2e-3 if "float32" in name else 1e-6, atol=1e-7)
        well &= golden_file.finish(golden_file.path(file), tensors, meta, args.check, close)
    sys.exit(not well)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
