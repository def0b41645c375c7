"""Makes the goldens of the focal losses, from PyTorch in float64.

    python golden_focal.py            writes testdata/golden/focal.json
    python golden_focal.py --check    recomputes and compares with the file

The sigmoid's form is torchvision.ops.sigmoid_focal_loss; the softmax's form is
written as the paper's formula and differentiated by PyTorch.
"""

import argparse
import json
import os
import sys

import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

PATH = os.path.relpath(os.path.join(os.path.dirname(__file__), "../../../testdata/golden/focal.json"))


def softmax_focal(z, t, gamma):
    logp = F.log_softmax(z, dim=1)
    return -(t * (1 - logp.exp()) ** gamma * logp).sum(1).mean()


def make():
    generator = torch.Generator().manual_seed(7)
    cases = []
    for form, gamma, alpha in (("softmax", 2, -1), ("softmax", 0.5, -1), ("softmax", 0, -1), ("softmax", 5, -1),
                               ("sigmoid", 2, 0.25), ("sigmoid", 1, 0.75), ("sigmoid", 0.5, -1), ("sigmoid", 0, -1)):
        z = (torch.randn(4, 5, generator=generator, dtype=torch.float64) * 3).requires_grad_()
        t = torch.eye(5, dtype=torch.float64)[:4].clone()
        t[1:3] = torch.rand(2, 5, generator=generator, dtype=torch.float64)  # soft, as mixing and weights make them
        t[1] /= t[1].sum()
        loss = softmax_focal(z, t, gamma) if form == "softmax" else sigmoid_focal_loss(z, t, alpha, gamma, "mean")
        loss.backward()
        cases.append(dict(form=form, gamma=gamma, alpha=alpha, logits=z.detach().flatten().tolist(), targets=t.flatten().tolist(),
                          loss=loss.item(), gradient=z.grad.flatten().tolist()))
    return dict(torch=torch.__version__, rows=4, classes=5, cases=cases)


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a if k != "torch")
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b or isinstance(a, (int, float)) and abs(a - b) <= 1e-12 * max(1, abs(b))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    made = make()
    if parser.parse_args().check:
        with open(PATH) as f:
            if not close(made, json.load(f)):
                sys.exit(f"{PATH} differs from what PyTorch computes")
        print(f"{PATH} agrees")
        return
    with open(PATH, "w") as f:
        json.dump(made, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
