#!/usr/bin/env python3
"""Writes the small files of weights that the tests of runtime/weights read.

usage: fixtures.py FOLDER

Every tensor holds arange(n)/8 - 2, so that its elements are exact in every
type, and the tests know them without a second file.
"""
import collections
import pathlib
import pickle
import sys

import torch


def arange(*shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    return (torch.arange(n, dtype=torch.float64) / 8 - 2).reshape(shape).to(dtype)


def state():
    """A state dict with what real ones have: views, several types, counters."""
    pair = arange(4, 3)
    return collections.OrderedDict(
        [
            ("conv.weight", arange(2, 3, 3, 3)),
            ("bn.weight", torch.nn.Parameter(arange(4))),
            ("bn.num_batches_tracked", torch.tensor(7)),
            ("half", arange(5, dtype=torch.float16)),
            ("bfloat", arange(5, dtype=torch.bfloat16)),
            ("double", arange(5, dtype=torch.float64)),
            ("scalar", torch.tensor(1.5)),
            ("transposed", pair.t()),
            ("row", pair[2]),
            ("ints", torch.tensor([-1, 0, 3], dtype=torch.int32)),
        ]
    )


class Code:
    def __reduce__(self):
        import os

        return os.system, ("echo this must never run",)


def main():
    out = pathlib.Path(sys.argv[1])
    sd = state()
    torch.save(sd, out / "zip.pth")
    torch.save(sd, out / "legacy.pth", _use_new_zipfile_serialization=False)
    net = torch.nn.Sequential(collections.OrderedDict(conv=torch.nn.Conv2d(1, 1, 1), bn=torch.nn.BatchNorm2d(1)))
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.25)
    wrapped = {"module." + k: v for k, v in net.state_dict().items()}
    torch.save({"epoch": 3, "arch": "tiny", "state_dict": wrapped, "best": 0.5}, out / "wrapped.pth")
    torch.save({"state_dict": sd, "hook": Code()}, out / "code.pth")
    torch.save({"hook": Code(), "state_dict": sd}, out / "code_legacy.pth", _use_new_zipfile_serialization=False)
    (out / "code.pkl").write_bytes(pickle.dumps(Code()))
    torch.save(net, out / "module.pth")


if __name__ == "__main__":
    main()
