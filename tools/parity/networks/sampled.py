"""What the goldens of larger networks share: where training starts, and what is
stored of each gradient, all of which would fill hundreds of MB.

An error e anywhere in a gradient moves a projection by about |e|₂/√(3n).
"""

import numpy as np
import torch

import formula

PROJECTIONS, CLASSES = 2, 10


def start(model, bottleneck, dtype):
    """Fills the model by ../formula.py, which makes bn2 small; in a bottleneck bn3
    ends the branch."""
    state = {}
    for k, v in model.state_dict().items():
        if k.endswith("num_batches_tracked"):
            continue
        t = formula.state_tensor(k, tuple(v.shape))
        if bottleneck and k.endswith("bn2.weight"):
            t = t * np.float32(4)
        elif bottleneck and k.endswith("bn3.weight"):
            t = t * np.float32(0.25)
        state[k] = torch.from_numpy(t)
    model.load_state_dict(state, strict=False)
    return model.to(dtype).train()


def sample(name, t, n):
    """Elements number word("sample." + name, i) mod the number of all, i < n."""
    index = formula.words(f"sample.{name}", n) % np.uint64(t.numel())
    return t.flatten()[torch.from_numpy(index.astype(np.int64))].float()


def project(name, g):
    """PROJECTIONS numbers ⟨g, p⟩/√n, p = draw("project.k." + name)."""
    g = g.flatten().numpy()
    return torch.tensor([formula.draws(f"project.{k}.{name}", g.shape) @ g / np.sqrt(g.size) for k in range(PROJECTIONS)])
