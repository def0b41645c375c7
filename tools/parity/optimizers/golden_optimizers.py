"""Makes the goldens of the optimizers: 20 steps of each rule, in float64.

    python golden_optimizers.py            writes testdata/golden/optimizers.safetensors
    python golden_optimizers.py --check    recomputes and compares with the file

Where PyTorch has the rule, torch.optim's is run (its Muon with the iteration in
float64 instead of bfloat16, on kernels flattened to matrices); the others are
written out below after their authors' code, one function each, in NumPy;
peers.py compares those with published packages.

The problem needs no network. Six tensors of several shapes start at

    p = draw("optimizer.NAME")·0.5                         rounded to float32

and have at step t = 1, 2, … the gradient

    ∇ = draw("optimizer.t.NAME")·s_t + 0.3·p − 0.1·draw("optimizer.NAME.goal")

with s_t = 0.2 + 0.8·(t mod 5)/4 (draw: see formula.py), so that it depends on
the parameters and its size on the step. The learning rate of step t is
lr·(1 − 0.5·(t−1)/20): a rate that moves shows where it enters.

The file has for each case the parameters after 1 and after 20 steps, float64,
the tensors end to end, and in its metadata what the case is: a JSON object of
rule, options, hyper-parameters, gradient transforms and whether norms and
biases are excluded from decay. It holds the tensors' names, shapes and kinds
as well.
"""

import json
import math
import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import formula  # noqa: E402
import golden_file  # noqa: E402

STEPS = 20

# name: (shape, kind); the last tensor with more than one dimension is the classifier.
TENSORS = {
    "wide": ((4, 3, 3, 3), ""),
    "wide.norm": ((4,), "norm"),
    "tall": ((12, 4, 1, 1), ""),
    "tall.norm": ((12,), "norm"),
    "tall.shift": ((12,), "norm"),
    "square": ((6, 6), ""),
    "head": ((5, 12), ""),
    "head.bias": ((5,), "bias"),
}
HEAD = "head"


def case(rule, exclude=False, gradient=(), options=None, **hyper):
    return {"rule": rule, "exclude": exclude, "gradient": list(gradient), "options": options or {}, "hyper": hyper}


ADAM = dict(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8)
BOUND = dict(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, final_lr=0.1, gamma=1e-3, weight_decay=0, base_lr=0.01)
MUON = dict(lr=0.02, momentum=0.95, weight_decay=0.1, aux_lr_ratio=0.15)
MUON_ADAM = MUON | dict(beta1=0.9, beta2=0.95, eps=1e-10)
SGD = dict(lr=0.05, momentum=0.9, weight_decay=0.01)
RMS = dict(lr=0.01, alpha=0.99, eps=1e-8, momentum=0, weight_decay=0)
LARS = dict(lr=1, momentum=0.9, weight_decay=0.01, trust=0.02, eps=0)
LAMB = dict(lr=0.02, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.1)
true = "true"
CASES = {
    "sgd": case("sgd", **SGD),
    "sgd.nesterov.exclude": case("sgd", True, options={"nesterov": true}, **SGD),
    "adam": case("adam", **ADAM, weight_decay=0),
    "adam.decay": case("adam", True, **ADAM, weight_decay=0.5),
    "adam.betas": case("adam", **(ADAM | dict(beta1=0, beta2=0.9, eps=0.1)), weight_decay=0),
    "adam.amsgrad": case("adam", options={"amsgrad": true}, **(ADAM | dict(beta2=0.8)), weight_decay=0),
    "adamw": case("adamw", **ADAM, weight_decay=0.5),
    "adamw.exclude": case("adamw", True, **ADAM, weight_decay=0.5),
    "adamw.amsgrad": case("adamw", options={"amsgrad": true}, **(ADAM | dict(beta2=0.8)), weight_decay=0.5),
    "adabound": case("adabound", **BOUND),
    "adabound.closing": case("adabound", **(BOUND | dict(gamma=0.5, base_lr=0.02))),
    "adabound.decay": case("adabound", True, **(BOUND | dict(gamma=0.05, weight_decay=0.2))),
    "adabound.decoupled": case("adabound", options={"decay": "decoupled"}, **(BOUND | dict(gamma=0.05, weight_decay=0.01))),
    "amsbound": case("amsbound", **(BOUND | dict(gamma=0.02, beta2=0.8))),
    "amsbound.decoupled": case("amsbound", True, options={"decay": "decoupled"}, **(BOUND | dict(beta2=0.8, weight_decay=0.01))),
    "rmsprop": case("rmsprop", **RMS),
    "rmsprop.momentum": case("rmsprop", True, **(RMS | dict(momentum=0.9, weight_decay=0.1))),
    "rmsprop.centered": case("rmsprop", options={"centered": true}, **(RMS | dict(alpha=0.9, eps=1e-3, momentum=0.5))),
    "lars": case("lars", True, **LARS),
    "lars.all": case("lars", options={"adapt_norm_and_bias": true, "nesterov": true}, **(LARS | dict(eps=0.01))),
    "lamb": case("lamb", True, **LAMB),
    "lamb.all": case("lamb", options={"adapt_norm_and_bias": true}, **LAMB),
    "lion": case("lion", lr=0.01, beta1=0.9, beta2=0.99, weight_decay=0),
    "lion.decay": case("lion", True, lr=0.01, beta1=0.95, beta2=0.98, weight_decay=0.5),
    "muon": case("muon", True, **MUON_ADAM),
    "muon.plain": case("muon", options={"nesterov": "false", "last_layer": "muon"}, **MUON_ADAM),
    "muon.rms": case("muon", options={"scale": "match_rms_adamw"}, **MUON_ADAM),
    "muon.sgd": case("muon", options={"auxiliary": "sgd"}, **MUON),
    "clip_norm": case("sgd", gradient=["clip_norm"], clip_norm=1.5, **SGD),
    "clip_norm.loose": case("sgd", gradient=["clip_norm"], clip_norm=1e3, **SGD),
    "clip_value": case("sgd", gradient=["clip_value"], clip_value=0.1, **SGD),
    "agc": case("sgd", gradient=["agc"], agc=0.2, **SGD),
    "l1": case("sgd", True, gradient=["l1"], l1=0.05, **SGD),
    "all_transforms": case("adamw", gradient=["clip_norm", "agc", "clip_value", "l1"],
                           clip_norm=0.5, agc=0.3, clip_value=0.08, l1=0.02, **ADAM, weight_decay=0.1),
}


def initial():
    return {k: (formula.draws("optimizer." + k, s) * 0.5).astype(np.float32).astype(np.float64)
            for k, (s, _) in TENSORS.items()}


def gradient(t, p):
    size = 0.2 + 0.8 * (t % 5) / 4
    return {k: formula.draws(f"optimizer.{t}.{k}", s) * size + 0.3 * p[k]
            - 0.1 * formula.draws(f"optimizer.{k}.goal", s) for k, (s, _) in TENSORS.items()}


def norm(x):
    return math.sqrt((x * x).sum())


# What happens to the gradient before the rule. Each takes and returns a
# dictionary of gradients.

def l1(g, p, c, decays):
    """The derivative of l1·Σ|p|, by PyTorch's automatic differentiation."""
    out = {}
    for k in g:
        x = torch.tensor(p[k], requires_grad=True)
        (c * x.abs().sum()).backward()
        out[k] = g[k] + x.grad.numpy() * decays(k)
    return out


def agc(g, p, c, _):
    """Brock's adaptive_grad_clip, kernels in PyTorch's O×I×k×k."""
    def unitwise(x):
        if x.ndim <= 1:
            return np.sqrt((x * x).sum())
        return np.sqrt((x * x).sum(tuple(range(1, x.ndim)), keepdims=True))

    out = {}
    for k in g:
        most = c * np.maximum(unitwise(p[k]), 1e-3)
        size = unitwise(g[k])
        clipped = g[k] * (most / np.maximum(size, 1e-6))
        out[k] = g[k] if k == HEAD else np.where(size > most, clipped, g[k])
    return out


def torch_clip(clip):
    def apply(g, p, c, _):
        holders = {k: torch.nn.Parameter(torch.zeros_like(torch.tensor(v))) for k, v in g.items()}
        for k, h in holders.items():
            h.grad = torch.tensor(g[k])
        clip(holders.values(), c)
        return {k: h.grad.numpy() for k, h in holders.items()}
    return apply


TRANSFORMS = {"l1": l1, "agc": agc, "clip_value": torch_clip(torch.nn.utils.clip_grad_value_),
              "clip_norm": torch_clip(torch.nn.utils.clip_grad_norm_)}  # in the order of application


class Torch:
    """Rules of torch.optim; groups separate what decays from what does not."""

    def __init__(self, p, c, decays):
        h, o = c["hyper"], c["options"]
        self.p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in p.items()}
        self.groups = []
        self.extra = []

        def groups(names, decay, shape=lambda k: self.p[k]):
            return [{"params": [shape(k)], "weight_decay": decay if decays(k) else 0.0} for k in names]

        lr, decay = h["lr"], h["weight_decay"]
        every = list(p)
        betas = (float(h.get("beta1", 0)), float(h.get("beta2", 0)))
        eps = h.get("eps", 0)
        match c["rule"]:
            case "sgd":
                self.optims = [(1, torch.optim.SGD(groups(every, decay), lr, h["momentum"], nesterov="nesterov" in o))]
            case "adam" | "adamw":
                kind = torch.optim.Adam if c["rule"] == "adam" else torch.optim.AdamW
                self.optims = [(1, kind(groups(every, decay), lr, betas, eps, amsgrad="amsgrad" in o))]
            case "rmsprop":
                self.optims = [(1, torch.optim.RMSprop(groups(every, decay), lr, h["alpha"], eps, momentum=h["momentum"],
                                                       centered="centered" in o))]
            case "muon":
                hidden = [k for k in every if p[k].ndim > 1 and (k != HEAD or o.get("last_layer") == "muon")]
                rest = [k for k in every if k not in hidden]
                # Kernels as matrices that share memory with the kernels.
                self.matrices = {k: torch.nn.Parameter(self.p[k].data.view(len(self.p[k]), -1)) for k in hidden}
                nesterov = o.get("nesterov", true) == true
                muon = torch.optim.Muon(groups(hidden, decay, lambda k: self.matrices[k]), lr, decay, h["momentum"],
                                        nesterov, adjust_lr_fn=o.get("scale", "original"))
                ratio = h["aux_lr_ratio"]
                if o.get("auxiliary") == "sgd":
                    # Decoupled decay, which torch.optim.SGD has not: done by hand in step.
                    aux = torch.optim.SGD(groups(rest, 0), lr * ratio, h["momentum"], nesterov=nesterov)
                    self.extra = [(k, ratio * decay) for k in rest if decays(k)]
                else:
                    aux = torch.optim.AdamW(groups(rest, decay), lr * ratio, betas, eps)
                self.optims = [(1, muon), (ratio, aux)]

    def step(self, g, lr, t):
        for k, x in self.p.items():
            x.grad = torch.tensor(g[k])
            if k in getattr(self, "matrices", ()):
                self.matrices[k].grad = x.grad.view(len(x), -1)
        for k, share in self.extra:
            self.p[k].data.mul_(1 - lr * share)
        # torch.optim.Muon iterates in bfloat16; the truth wanted here is exact.
        saved, torch.bfloat16 = torch.bfloat16, torch.float64
        try:
            for ratio, optim in self.optims:
                for group in optim.param_groups:
                    group["lr"] = lr * ratio
                optim.step()
        finally:
            torch.bfloat16 = saved
        return {k: x.detach().numpy() for k, x in self.p.items()}


class Written:
    """Rules written out after their authors' code. State is by tensor."""

    def __init__(self, p, c, decays):
        self.p = {k: v.copy() for k, v in p.items()}
        self.rule, self.h, self.o, self.decays = getattr(self, c["rule"]), c["hyper"], c["options"], decays
        self.state = {k: {} for k in p}
        self.least = math.inf

    def step(self, g, lr, t):
        self.p = {k: self.rule(k, self.p[k], g[k], lr, t) for k in self.p}
        return self.p

    def slot(self, k, name):
        return self.state[k].setdefault(name, np.zeros(TENSORS[k][0]))

    def decay(self, k):
        return self.h["weight_decay"] if self.decays(k) else 0.0

    def adabound(self, k, p, g, lr, t, largest=False):
        """Luolc/AdaBound, adabound.py; decoupled: its AdaBoundW."""
        h, s = self.h, self.state[k]
        decoupled = self.o.get("decay") == "decoupled"
        if not decoupled:
            g = g + self.decay(k) * p
        s["m"] = self.slot(k, "m") * h["beta1"] + (1 - h["beta1"]) * g
        s["v"] = self.slot(k, "v") * h["beta2"] + (1 - h["beta2"]) * g * g
        w = s["v"]
        if largest:
            w = s["max"] = np.maximum(self.slot(k, "max"), s["v"])
        denom = np.sqrt(w) + h["eps"]
        size = lr * math.sqrt(1 - h["beta2"] ** t) / (1 - h["beta1"] ** t)
        final = h["final_lr"] * lr / h["base_lr"]
        lower = final * (1 - 1 / (h["gamma"] * t + 1))
        upper = final * (1 + 1 / (h["gamma"] * t))
        step = np.clip(size / denom, lower, upper) * s["m"]
        new = p - step
        return new - self.decay(k) * p if decoupled else new

    def amsbound(self, k, p, g, lr, t):
        return self.adabound(k, p, g, lr, t, largest=True)

    def lars(self, k, p, g, lr, t):
        """You, Gitman, Ginsburg 2017, algorithm 1, with the exclusions,
        Nesterov's form and ε of MLPerf's LARSOptimizer for ResNet-50."""
        h, s, d = self.h, self.state[k], self.decay(k)
        adapted = TENSORS[k][1] == "" or "adapt_norm_and_bias" in self.o
        trust = 1.0
        if adapted and norm(p) > 0 and norm(g) > 0:
            trust = h["trust"] * norm(p) / (norm(g) + d * norm(p) + h["eps"])
        scaled = lr * trust * (g + d * p)
        s["v"] = h["momentum"] * self.slot(k, "v") + scaled
        return p - (h["momentum"] * s["v"] + scaled if "nesterov" in self.o else s["v"])

    def lamb(self, k, p, g, lr, t):
        """You et al. 2020, algorithm 2; exclusions of the authors' lamb_optimizer.py."""
        h, s = self.h, self.state[k]
        s["m"] = h["beta1"] * self.slot(k, "m") + (1 - h["beta1"]) * g
        s["v"] = h["beta2"] * self.slot(k, "v") + (1 - h["beta2"]) * g * g
        r = s["m"] / (1 - h["beta1"] ** t) / (np.sqrt(s["v"] / (1 - h["beta2"] ** t)) + h["eps"])
        u = r + self.decay(k) * p
        ratio = 1.0
        if TENSORS[k][1] == "" or "adapt_norm_and_bias" in self.o:
            if norm(p) > 0 and norm(u) > 0:
                ratio = norm(p) / norm(u)
        return p - lr * ratio * u

    def lion(self, k, p, g, lr, t):
        """google/automl, lion_pytorch.py."""
        h, s = self.h, self.state[k]
        m = self.slot(k, "m")
        c = m * h["beta1"] + g * (1 - h["beta1"])
        self.least = min(self.least, np.abs(c).min())
        s["m"] = m * h["beta2"] + g * (1 - h["beta2"])
        return p * (1 - lr * self.decay(k)) - lr * np.sign(c)


def trajectory(c):
    decays = lambda k: not (c["exclude"] and TENSORS[k][1])  # noqa: E731
    kind = Torch if c["rule"] in ("sgd", "adam", "adamw", "rmsprop", "muon") else Written
    rule = kind(initial(), c, decays)
    p, out = initial(), {}
    for t in range(1, STEPS + 1):
        g = gradient(t, p)
        for name, transform in TRANSFORMS.items():
            if name in c["gradient"]:
                g = transform(g, p, c["hyper"][name], decays)
        lr = c["hyper"]["lr"] * (1 - 0.5 * (t - 1) / STEPS)
        p = {k: v.copy() for k, v in rule.step(g, lr, t).items()}
        if t in (1, STEPS):
            out[t] = np.concatenate([v.ravel() for v in p.values()])
    if c["rule"] == "lion":
        print(f"  the momentum whose sign is taken is never nearer to zero than {rule.least:.1e}")
    return out


def main():
    args = golden_file.parser().parse_args()
    tensors, meta = {}, {
        "steps": str(STEPS),
        "tensors": json.dumps([{"name": k, "shape": list(s), "kind": kind} for k, (s, kind) in TENSORS.items()]),
        "cases": json.dumps(CASES)}
    for name, c in CASES.items():
        for t, p in trajectory(c).items():
            tensors[f"{name}@{t}"] = p
    start = np.concatenate([v.ravel() for v in initial().values()])
    for a in CASES:
        moved = np.abs(tensors[f"{a}@{STEPS}"] - start).max()
        near = min((np.abs(tensors[f"{a}@{STEPS}"] - tensors[f"{b}@{STEPS}"]).max(), b) for b in CASES if b != a)
        print(f"{a}: moves by {moved:.3f}, is {near[0]:.1e} from {near[1]}")
    tensors = {k: torch.from_numpy(v) for k, v in tensors.items()}
    sys.exit(not golden_file.finish(golden_file.path("optimizers"), tensors, meta, args.check, golden_file.near(1e-9, 1e-12)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
