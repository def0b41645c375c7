"""Times PyTorch's training step on a GPU, beside 'gpu step'.

    python peer.py --model resnet18 --batch 512 --size 32 --precision amp --out step.csv

A step is forward, cross-entropy, backward, SGD with momentum and weight decay
(fused), and reading the loss, channels-last. --input host takes the images as
uint8 from pinned host memory and normalises them on the device, as ours does;
--input device has them there beforehand. With --device cpu it tries the script.
"""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
import torchvision

COLUMNS = ["implementation", "model", "batch", "size", "precision", "layout", "input", "steps a run", "images/s", "ms a step",
           "device MiB", "device", "version"]


def network(name, classes, size):
    """torchvision's ResNet; with the small stem of CIFAR for small images."""
    net = getattr(torchvision.models, name)(num_classes=classes)
    if size <= 64:
        net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        net.maxpool = torch.nn.Identity()
    return net


def used_mib(device):
    """Memory in use on the device by nvidia-smi, which is asked of ours too."""
    if device.type != "cuda":
        return 0
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", str(device.index or 0)],
                             capture_output=True, text=True, check=True).stdout
        return int(out.strip())
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0


def add(path, row):
    print("  ".join(row), flush=True)
    if not path:
        return
    fresh = not os.path.exists(path)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "a", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        if fresh:
            w.writerow(COLUMNS)
        w.writerow(row)


def precision(name):
    """Sets up float32, tf32 or amp, and returns the autocast context."""
    torch.backends.cuda.matmul.allow_tf32 = name != "float32"
    torch.backends.cudnn.allow_tf32 = name != "float32"
    return name == "amp"


def main():
    p = argparse.ArgumentParser(description="Time PyTorch's training step.")
    p.add_argument("--model", default="resnet18")
    p.add_argument("--batch", type=int, default=512)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--precision", default="amp", choices=["amp", "tf32", "float32"])
    p.add_argument("--layout", default="channels_last", choices=["channels_last", "nchw"])
    p.add_argument("--input", default="device", choices=["device", "host"])
    p.add_argument("--compile", action="store_true", help="torch.compile the network")
    p.add_argument("--device", default="cuda")
    p.add_argument("--steps", type=int, default=40)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--out", default="")
    a = p.parse_args()

    device = torch.device(a.device)
    before = used_mib(device)
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    amp = precision(a.precision)
    layout = torch.channels_last if a.layout == "channels_last" else torch.contiguous_format
    net = network(a.model, a.classes, a.size).to(device, memory_format=layout).train()
    sgd = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=amp and device.type == "cuda")
    forward = torch.compile(net) if a.compile else net
    host = torch.randint(0, 256, (a.batch, 3, a.size, a.size), dtype=torch.uint8)
    if device.type == "cuda":
        host = host.pin_memory()
    fixed = ((host.to(device).float() - 128) / 64).contiguous(memory_format=layout)
    targets = torch.randint(0, a.classes, (a.batch,), device=device)

    def step():
        images = fixed
        if a.input == "host":
            images = host.to(device, non_blocking=True).float().sub_(128).div_(64).contiguous(memory_format=layout)
        sgd.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.float16 if device.type == "cuda" else torch.bfloat16, enabled=amp):
            loss = F.cross_entropy(forward(images), targets)
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()
        return loss.item()

    for _ in range(min(10, a.steps)):
        step()
    seconds = []
    for _ in range(a.rounds):
        begun = time.perf_counter()
        for _ in range(a.steps):
            step()
        seconds.append((time.perf_counter() - begun) / a.steps)
    s = statistics.median(seconds)
    after = used_mib(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    add(a.out, ["PyTorch" + (" compiled" if a.compile else ""), a.model, str(a.batch), str(a.size), "mixed" if amp else a.precision, a.layout,
                "uint8 from the host" if a.input == "host" else "on the device", "1", f"{a.batch / s:.1f}", f"{1000 * s:.2f}",
                str(after - before) if after else "", name, torch.__version__])


if __name__ == "__main__":
    sys.exit(main())
