"""Trains ResNet-18 on CIFAR-10 with PyTorch by the recipe of run.sh's real run.

    python train.py --data-dir DIR --epochs 60 --out metrics.csv

Batches of 512 (the last partial one is dropped), SGD with momentum 0.9, weight
decay 5e-4 except on norms and biases, learning rate 0.2 with gradual warm-up
over five epochs, then a cosine to zero; zero padding of 4 pixels, random crop,
mirror, normalisation by the training set's mean and deviation; automatic mixed
precision, channels-last. All images lie on the device, where they are augmented
too: the time is that of the training alone. Resumes from OUT.pt.
"""

import argparse
import csv
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import peer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../parity"))
import resnet_cifar  # noqa: E402


def main():
    p = argparse.ArgumentParser(description="Train ResNet-18 on CIFAR-10.")
    p.add_argument("--data-dir", required=True)
    p.add_argument("--test-file", default="test_batch.bin")
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--batch", type=int, default=512)
    p.add_argument("--lr", type=float, default=0.2)
    p.add_argument("--warmup", type=int, default=5)
    p.add_argument("--limit", type=int, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="cuda")
    p.add_argument("--minutes", type=float, default=0, help="stop after so many; a later call goes on")
    p.add_argument("--out", required=True)
    a = p.parse_args()

    device = torch.device(a.device)
    torch.manual_seed(a.seed)
    torch.backends.cudnn.benchmark = True
    amp = peer.precision("amp") and device.type == "cuda"
    parts = [resnet_cifar.read_cifar10(os.path.join(a.data_dir, f"data_batch_{i}.bin")) for i in range(1, 6)]
    images, labels = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    test_images, test_labels = resnet_cifar.read_cifar10(os.path.join(a.data_dir, a.test_file))
    if a.limit:
        images, labels = images[:a.limit], labels[:a.limit]
    pixels = torch.as_tensor(images).float() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    del pixels
    normal = lambda x: ((x.float() / 255 - mean.to(device)[:, None, None]) / std.to(device)[:, None, None])
    x, y = torch.as_tensor(images).to(device), torch.as_tensor(labels).long().to(device)
    tx, ty = torch.as_tensor(test_images).to(device), torch.as_tensor(test_labels).long().to(device)

    net = peer.network("resnet18", 10, 32).to(device, memory_format=torch.channels_last)
    decayed = [w for w in net.parameters() if w.dim() > 1]
    rest = [w for w in net.parameters() if w.dim() <= 1]
    sgd = torch.optim.SGD([{"params": decayed, "weight_decay": 5e-4}, {"params": rest, "weight_decay": 0}], a.lr, momentum=0.9, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=amp)
    per_epoch = len(x) // a.batch
    total, warm = a.epochs * per_epoch, a.warmup * per_epoch

    first, spent = 0, 0.0
    state = a.out + ".pt"
    if os.path.exists(state):
        s = torch.load(state, map_location=device)
        net.load_state_dict(s["net"]), sgd.load_state_dict(s["sgd"]), scaler.load_state_dict(s["scaler"])
        first, spent = s["epoch"], s["seconds"]

    def augmented(batch, generator):
        n = len(batch)
        padded = F.pad(batch.float(), (4, 4, 4, 4))
        rows = torch.randint(0, 9, (n, 1), device=device, generator=generator) + torch.arange(32, device=device)
        columns = torch.randint(0, 9, (n, 1), device=device, generator=generator) + torch.arange(32, device=device)
        flip = torch.rand(n, device=device, generator=generator) < 0.5
        columns[flip] = columns[flip].flip(1)
        pick = torch.arange(n, device=device)[:, None, None]
        return padded.permute(0, 2, 3, 1)[pick, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    begun = time.perf_counter()
    fresh = not os.path.exists(a.out)
    with open(a.out, "a", newline="") as f:
        table = csv.writer(f, lineterminator="\n")
        if fresh:
            table.writerow(["epoch", "loss", "test accuracy", "seconds", "images/s", "device", "version"])
        for epoch in range(first, a.epochs):
            generator = torch.Generator(device).manual_seed(a.seed * 1000 + epoch)
            order = torch.randperm(len(x), device=device, generator=generator)
            net.train()
            loss_sum, start = 0.0, time.perf_counter()
            for i in range(per_epoch):
                t = epoch * per_epoch + i
                rate = a.lr * (t + 1) / warm if t < warm else a.lr * 0.5 * (1 + torch.cos(torch.tensor((t - warm) / max(1, total - warm) * torch.pi)).item())
                for group in sgd.param_groups:
                    group["lr"] = rate
                pick = order[i * a.batch:(i + 1) * a.batch]
                batch = normal(augmented(x[pick], generator)).contiguous(memory_format=torch.channels_last)
                sgd.zero_grad(set_to_none=True)
                with torch.autocast(device.type, torch.float16 if device.type == "cuda" else torch.bfloat16, enabled=amp):
                    loss = F.cross_entropy(net(batch), y[pick])
                scaler.scale(loss).backward()
                scaler.step(sgd)
                scaler.update()
                loss_sum += loss.detach()
            if device.type == "cuda":
                torch.cuda.synchronize()
            trained = time.perf_counter() - start
            net.eval()
            right = 0
            with torch.no_grad():
                for i in range(0, len(tx), 1000):
                    right += (net(normal(tx[i:i + 1000]).contiguous(memory_format=torch.channels_last)).argmax(1) == ty[i:i + 1000]).sum().item()
            seconds = spent + time.perf_counter() - begun
            row = [epoch + 1, f"{float(loss_sum) / per_epoch:.4f}", f"{100 * right / len(tx):.2f}", f"{seconds:.1f}", f"{per_epoch * a.batch / trained:.0f}",
                   torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", torch.__version__]
            table.writerow(row)
            f.flush()
            print(*row, flush=True)
            torch.save({"net": net.state_dict(), "sgd": sgd.state_dict(), "scaler": scaler.state_dict(), "epoch": epoch + 1, "seconds": seconds}, state + ".new")
            os.replace(state + ".new", state)
            if a.minutes and time.perf_counter() - begun > 60 * a.minutes:
                print(f"stopped after {epoch + 1} of {a.epochs} epochs; the same command goes on")
                return


main()
