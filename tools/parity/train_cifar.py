"""Trains a small ResNet on CIFAR-10 with PyTorch, by the recipe that ours is
compared with, and appends a row to a results table.

    python train_cifar.py --data-dir DIR [--test-file test_batch_jpeg.bin] [--epochs 2]

The recipe: batches of 128 (the last partial one is dropped), SGD with momentum
0.9 and weight decay 1e-4 on everything, learning rate 0.1 with gradual warm-up
from zero (step t of T_w: lr·(t+1)/T_w) over the first epoch, then a cosine to
zero over the remaining steps (lr·½(1+cos(πt/T)), t counted without the warm-up);
zero padding of 4 black pixels, random crop, mirror, normalisation by the
training set's mean and deviation; He initialisation; test accuracy of the last
weights with running statistics.
"""

import argparse
import csv
import math
import os
import platform
import time

import numpy as np
import torch
import torch.nn.functional as F

from resnet_cifar import evaluate, normalise, read_cifar10, resnet

RESULTS = os.path.relpath(os.path.join(
    os.path.dirname(__file__), "../../testdata/results/cifar10_resnet20_parity_pytorch.csv"))


def learning_rate(step, base, warmup, total):
    if step < warmup:
        return base * (step + 1) / warmup
    return base * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def augment(images, rng, pad=4):
    """Pads with black, crops back at random and mirrors half: uint8 N×3×H×W."""
    n, _, h, w = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows = rng.integers(0, 2 * pad + 1, n)[:, None] + np.arange(h)
    columns = rng.integers(0, 2 * pad + 1, n)[:, None] + np.arange(w)
    mirrored = rng.random(n) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    pick = np.arange(n)[:, None, None]
    out = padded.transpose(0, 2, 3, 1)[pick, rows[:, :, None], columns[:, None, :]]
    return out.transpose(0, 3, 1, 2)


def statistics(images):
    """Mean and standard deviation of each channel over all pixels, in 0..1."""
    mean, square = np.zeros(3), np.zeros(3)
    for chunk in np.array_split(images, 20):
        x = chunk.astype(np.float64) / 255
        mean += x.sum((0, 2, 3))
        square += (x * x).sum((0, 2, 3))
    n = images.size / 3
    mean /= n
    return mean.tolist(), np.sqrt(square / n - mean * mean).tolist()


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.processor()


def append(path, row):
    new = not os.path.exists(path)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "a", newline="") as f:
        w = csv.DictWriter(f, row, lineterminator="\n")
        if new:
            w.writeheader()
        w.writerow(row)


def main():
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data-dir", required=True, help="folder of CIFAR-10 binary records")
    p.add_argument("--train-files", default=",".join(f"data_batch_{i}.bin" for i in range(1, 6)))
    p.add_argument("--test-file", default="test_batch_jpeg.bin")
    p.add_argument("--model", default="resnet20")
    p.add_argument("--shortcut", default="A", choices=("A", "B"))
    p.add_argument("--epochs", type=int, default=2)
    p.add_argument("--warmup", type=float, default=1, help="epochs of warm-up")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--limit", type=int, help="training images to use")
    p.add_argument("--out", default=RESULTS, help="results table to append to, - for none")
    args = p.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train = [read_cifar10(os.path.join(args.data_dir, f)) for f in args.train_files.split(",")]
    images = np.concatenate([t[0] for t in train])[: args.limit]
    labels = np.concatenate([t[1] for t in train])[: args.limit]
    test_images, test_labels = read_cifar10(os.path.join(args.data_dir, args.test_file))
    mean, std = statistics(images)
    print(f"{len(labels)} training images, mean {mean}, deviation {std}")

    model = resnet(args.model, option=args.shortcut).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    per_epoch = len(labels) // args.batch
    if per_epoch == 0 or not 0 <= args.warmup < args.epochs:
        p.error("the batch must fit the data set and the warm-up end before the last epoch")
    step, started = 0, time.perf_counter()
    for epoch in range(args.epochs):
        order, total, right = rng.permutation(len(labels)), 0.0, 0
        model.train()
        for i in range(per_epoch):
            rate = learning_rate(step, args.lr, round(args.warmup * per_epoch), args.epochs * per_epoch)
            for group in sgd.param_groups:
                group["lr"] = rate
            pick = order[i * args.batch : (i + 1) * args.batch]
            x = normalise(augment(images[pick], rng), mean, std)
            y = torch.from_numpy(labels[pick])
            logits = model(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, y)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            step += 1
            total += loss.item()
            right += (logits.argmax(1) == y).sum().item()
            if step % 50 == 0 or step == 1:
                spent = time.perf_counter() - started
                print(f"epoch {epoch + 1}, step {step}: loss {total / (i + 1):.4f}, accuracy "
                      f"{100 * right / ((i + 1) * args.batch):.2f} %, lr {rate:.5f}, "
                      f"{step * args.batch / spent:.0f} images/s", flush=True)
    seconds = time.perf_counter() - started

    accuracy, test_loss = evaluate(
        model, normalise(test_images, mean, std), torch.from_numpy(test_labels))
    print(f"test accuracy {accuracy:.2f} %, loss {test_loss:.4f}; trained in {seconds:.1f} s")
    if args.out != "-":
        append(args.out, {
            "implementation": "PyTorch", "version": torch.__version__, "model": args.model,
            "shortcut": args.shortcut, "train_images": len(labels), "test_file": args.test_file,
            "epochs": args.epochs, "warmup_epochs": args.warmup, "batch": args.batch,
            "lr": args.lr, "seed": args.seed, "threads": args.threads,
            "train_loss": f"{total / per_epoch:.4f}", "test_loss": f"{test_loss:.4f}",
            "test_accuracy": f"{accuracy:.2f}", "seconds": f"{seconds:.1f}",
            "images_per_second": f"{step * args.batch / seconds:.1f}", "cpu": cpu_name(),
        })


if __name__ == "__main__":
    main()
