"""Makes the goldens of the distillation loss, from PyTorch in float64.

    python golden_distillation.py            writes testdata/golden/distillation.safetensors
    python golden_distillation.py --check    recomputes and compares with the file

The network is ResNet-8, option B, in its initial state, on the first batch of
formula.py with the salt of resnet8_variants' `b.`; the teacher's logits are
draw("teacher.0")·6, rounded to float32. Each case has the loss and its gradient
for some tensors of every depth, among them the first convolution's, which
everything else enters. The cases' losses are written as PyTorch users write
them, not as ours is built.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import formula  # noqa: E402
import golden_file  # noqa: E402
from golden_resnet20 import build  # noqa: E402

NET, BATCH, SALT = dict(depth=8, option="B"), 4, 23
TENSORS = ("conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer2.0.conv1.weight",
           "layer3.0.shortcut.0.weight", "linear.weight", "linear.bias")

# name: (what the step is built with, what it is fed with)
CASES = {
    "survey": (dict(soft="cross_entropy"), dict(temperature=4, hard_weight=1, soft_weight=1)),
    "survey_cold": (dict(soft="cross_entropy"), dict(temperature=0.5, hard_weight=1, soft_weight=1)),
    "weighted": (dict(soft="kl"), dict(temperature=3, hard_weight=0.3, soft_weight=0.7)),
    "label_free": (dict(soft="kl"), dict(temperature=1, hard_weight=0, soft_weight=1)),
    "bce": (dict(soft="kl", loss="bce"), dict(temperature=2, hard_weight=0.9, soft_weight=0.1)),
}


def loss_of(case, logits, targets, teacher):
    """The loss of a case by PyTorch's own functions."""
    fed = CASES[case][1]
    t, hard, soft = fed["temperature"], fed["hard_weight"], fed["soft_weight"]
    p = F.softmax(teacher / t, dim=1)
    if case.startswith("survey"):
        return F.cross_entropy(logits, targets) + t * t * F.cross_entropy(logits / t, p)
    kl = F.kl_div(F.log_softmax(logits / t, dim=1), p, reduction="batchmean") * t * t
    if case == "label_free":
        return kl
    if case == "bce":
        return hard * F.binary_cross_entropy_with_logits(logits, targets) + soft * kl
    return hard * F.cross_entropy(logits, targets) + soft * kl


def make():
    images, targets = (torch.from_numpy(a).double() for a in formula.batch(SALT, 0, BATCH))
    teacher = torch.from_numpy((formula.draws("teacher.0", (BATCH, 10)) * 6).astype("float32")).double()
    tensors = {}
    for case in CASES:
        model = build(NET, torch.float64).train()
        loss = loss_of(case, model(images), targets, teacher)
        loss.backward()
        tensors[case + ".loss"] = loss.detach()
        grads = dict(model.named_parameters())
        for name in TENSORS:
            tensors[f"{case}.grad.{name}"] = grads[name].grad.float().contiguous()
        print(f"{case}: loss {loss.item():.6f}, largest gradient {max(g.grad.abs().max().item() for g in grads.values()):.3f}")
    meta = {"batch": str(BATCH), "salt": str(SALT), "tensors": json.dumps(TENSORS),
            "sha256.teacher": formula.digest([teacher.float().numpy()])}
    meta |= {f"case.{name}": json.dumps(built | {"feed": fed}) for name, (built, fed) in CASES.items()}
    return tensors, meta


def main():
    args = golden_file.parser().parse_args()
    sys.exit(not golden_file.finish(golden_file.path("distillation"), *make(), args.check))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
