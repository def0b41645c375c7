"""Holds the rules that golden_optimizers.py writes out against published code:
AdaBound and AMSBound against the authors' package adabound, LARS, LAMB, Lion
and adaptive gradient clipping against timm.

    python peers.py

The trajectories are those of the goldens, in float64. adabound 0.0.5 calls
PyTorch by signatures that are gone; its source is read and those calls are
brought to the present form, nothing else. timm's LARS multiplies the velocity
by the rate, ours, as the paper, adds what is multiplied to it: the two agree
where the rate does not move, so LARS is compared at a constant rate.
"""

import inspect
import math
import re
import sys

import adabound
import numpy as np
import timm
import torch
from timm.optim import Lamb, Lars, Lion
from timm.utils.agc import adaptive_clip_grad

import golden_optimizers as golden


def present(cls):
    """The class with tensor calls in PyTorch's present form."""
    source = inspect.getsource(cls)
    source = re.sub(r"\.(add_?)\(([^(),]+), ([^(),]+)\)", r".\1(\3, alpha=\2)", source)
    source = re.sub(r"\.addcmul_\(([^(),]+), ([^(),]+), ([^(),]+)\)", r".addcmul_(\2, \3, value=\1)", source)
    scope = {"math": math, "torch": torch, "Optimizer": torch.optim.Optimizer}
    exec(source, scope)  # the package's own source
    return scope[cls.__name__]


AdaBound = present(adabound.AdaBound)


def optimizer(c, groups):
    h, o = c["hyper"], c["options"]
    match c["rule"]:
        case "adabound" | "amsbound":
            made = AdaBound(groups, lr=h["lr"], betas=(h["beta1"], h["beta2"]), final_lr=h["final_lr"], gamma=h["gamma"],
                        eps=h["eps"], amsbound=c["rule"] == "amsbound")
            made.base_lrs = [h["base_lr"]] * len(groups)
            return made
        case "lars":
            return Lars(groups, lr=h["lr"], momentum=h["momentum"], nesterov="nesterov" in o, trust_coeff=h["trust"],
                        eps=h["eps"], always_adapt="adapt_norm_and_bias" in o)
        case "lamb":
            return Lamb(groups, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"], max_grad_norm=None,
                        always_adapt="adapt_norm_and_bias" in o)
        case "lion":
            return Lion(groups, lr=h["lr"], betas=(h["beta1"], h["beta2"]))


def theirs(c, rate):
    decays = lambda k: not (c["exclude"] and golden.TENSORS[k][1])  # noqa: E731
    p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in golden.initial().items()}
    rule = optimizer(c, [{"params": [x], "weight_decay": c["hyper"]["weight_decay"] if decays(k) else 0.0} for k, x in p.items()])
    for t in range(1, golden.STEPS + 1):
        g = golden.gradient(t, {k: x.detach().numpy() for k, x in p.items()})
        for k, x in p.items():
            x.grad = torch.tensor(g[k])
        for group in rule.param_groups:
            group["lr"] = rate(t)
        rule.step()
    return np.concatenate([x.detach().numpy().ravel() for x in p.values()])


def ours(c, rate):
    decays = lambda k: not (c["exclude"] and golden.TENSORS[k][1])  # noqa: E731
    rule, p = golden.Written(golden.initial(), c, decays), golden.initial()
    for t in range(1, golden.STEPS + 1):
        p = {k: v.copy() for k, v in rule.step(golden.gradient(t, p), rate(t), t).items()}
    return np.concatenate([v.ravel() for v in p.values()])


def clipped(c):
    """One clipping by timm and ours; timm leaves the choice of tensors to its caller."""
    worst = 0.0
    for t in range(1, golden.STEPS + 1):
        p = golden.initial()
        g = golden.gradient(t, p)
        want = golden.agc(g, p, c, None)
        for k in p:
            if k == golden.HEAD:
                continue
            x = torch.nn.Parameter(torch.tensor(p[k]))
            x.grad = torch.tensor(g[k])
            adaptive_clip_grad([x], c)
            worst = max(worst, np.abs(x.grad.numpy() - want[k]).max() / np.abs(want[k]).max())
    return worst


def main():
    failed = False
    print(f"adabound {adabound.__version__ if hasattr(adabound, '__version__') else '0.0.5'}, timm {timm.__version__}")
    for name, c in golden.CASES.items():
        if c["gradient"] or c["rule"] not in ("adabound", "amsbound", "lars", "lamb", "lion"):
            continue
        if c["options"].get("decay") == "decoupled":
            continue  # AdaBoundW is in the authors' repository, not in the package
        lr = c["hyper"]["lr"]
        rate = (lambda t: lr) if c["rule"] == "lars" else (lambda t: lr * (1 - 0.5 * (t - 1) / golden.STEPS))
        a, b = ours(c, rate), theirs(c, rate)
        apart = np.abs(a - b).max() / np.abs(b).max()
        failed |= not apart < 1e-12
        print(f"{name}: {apart:.1e} apart after {golden.STEPS} steps")
    for c in (0.01, 0.2):
        apart = clipped(c)
        failed |= not apart < 1e-12
        print(f"agc {c}: {apart:.1e} apart")
    if failed:
        sys.exit("a rule differs from its published code")


if __name__ == "__main__":
    main()
