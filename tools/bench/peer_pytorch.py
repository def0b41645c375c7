"""Times PyTorch's training step: the peer that ours is compared with.

    python peer_pytorch.py --model resnet20 --batch 128 --steps 10
    python peer_pytorch.py --model resnet20 --batch 128 --serve

A step is forward, soft-target cross-entropy, backward, SGD with momentum 0.9 and
weight decay 1e-4, and reading the loss, in float32 on one synthetic batch that
is in place (and in the wanted memory layout) beforehand. With --format auto and
--update auto the fastest pair of {nchw, channels_last} × {loop, foreach, fused}
is found first, in a process of its own life: the script replaces itself
afterwards, so that the memory reported is that of the chosen one alone.

The protocol of --serve, which every peer of the benchmark speaks, so that a
driver can keep several open and let them run in turn (both then see the same
minutes of a machine):

    One JSON object a line on stdout; anything for people goes to stderr.
    On start, when warm:    {"ready": true, <description>}
    Line in  "run N"    →   {"steps": [seconds, …N of them], "loss": last loss}
    Line in  "info"     →   {<description>, "peak_rss_mib": …}
    Line in  "gemm"     →   {"gflops": of a large float32 matrix product}
    Line in  "quit", or the end of stdin: the peer ends with status 0.
    A line it does not understand gets {"error": "…"}.
    Between answers a peer is idle, its threads asleep after a few milliseconds.

A figure is worth recording only from a machine that is otherwise idle: with other
work on its cores PyTorch's step of ResNet-20 has taken 2 to 30 times as long. A
driver should read /proc/stat and drop rounds in which other processes ran.
OMP_WAIT_POLICY is left unset: passive waiting costs PyTorch a quarter more time.

<description> holds: implementation, version, model, batch, size, classes, threads,
cpu, parameters, and whatever else the peer wants recorded.
"""

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time


import torch
import torch.nn.functional as F

import peer_models

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
UPDATES = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def status_mib(field):
    """A figure of this process image; unlike getrusage's it starts anew on exec."""
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return float("nan")


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


class Step:
    def __init__(self, args, layout, update):
        torch.manual_seed(args.seed)
        layout = FORMATS[layout]
        self.model = peer_models.build(args.model, args.classes, args.size).to(memory_format=layout).train()
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.sgd = torch.optim.SGD(
            self.model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, **UPDATES[update])
        self.forward = torch.compile(self.model) if args.compile else self.model
        shape = (args.batch, 3, args.size, args.size)
        self.images = torch.randn(shape).contiguous(memory_format=layout)
        self.targets = torch.rand(args.batch, args.classes)
        self.targets /= self.targets.sum(1, keepdim=True)

    def run(self, n):
        seconds = []
        for _ in range(n):
            start = time.perf_counter()
            loss = F.cross_entropy(self.forward(self.images), self.targets)
            self.sgd.zero_grad(set_to_none=True)
            loss.backward()
            self.sgd.step()
            value = loss.item()
            seconds.append(time.perf_counter() - start)
        return seconds, value


def choose(args):
    """Median step seconds of every wanted pair of layout and update."""
    layouts = list(FORMATS) if args.format == "auto" else [args.format]
    updates = list(UPDATES) if args.update == "auto" else [args.update]
    steps = {}
    for layout in layouts:
        for update in updates:
            step = Step(args, layout, update)
            step.run(args.warmup)
            steps[f"{layout}/{update}"] = step
    # In turn, so that a change of the machine's pace hits all of them.
    times = {name: [] for name in steps}
    for _ in range(args.probe):
        for name, step in steps.items():
            times[name] += step.run(1)[0]
    return {name: statistics.median(t) for name, t in times.items()}


def describe(args, step, base):
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    return {
        "implementation": "PyTorch", "version": torch.__version__,
        "onednn": onednn.group(1) if onednn and torch.backends.mkldnn.is_available() else None,
        "model": args.model, "parameters": step.parameters, "batch": args.batch,
        "size": args.size, "classes": args.classes, "threads": torch.get_num_threads(),
        "format": args.format, "update": args.update, "compile": args.compile,
        "probed_step_seconds": json.loads(args.probed), "rss_after_import_mib": round(base, 1),
        "python": platform.python_version(), "cpu": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def gemm(n=2048):
    """Multiplications and additions a second, in 1e9, of a float32 product."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    best = float("inf")
    with torch.no_grad():
        for _ in range(4):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best / 1e9


def serve(step, about):
    def say(answer):
        print(json.dumps(answer), flush=True)

    memory = lambda: {"peak_rss_mib": round(status_mib("VmHWM"), 1)}
    say({"ready": True, **about})
    for line in sys.stdin:
        match line.split():
            case ["run", n] if n.isdigit() and int(n) > 0:
                seconds, loss = step.run(int(n))
                say({"steps": seconds, "loss": loss})
            case ["info"]:
                say({**about, **memory()})
            case ["gemm"]:
                say({"gflops": gemm()})
            case ["quit"]:
                return
            case []:
                pass
            case _:
                say({"error": f"unknown line {line.strip()!r}; want: run N, info, gemm, quit"})


def main():
    p = argparse.ArgumentParser(description="Time PyTorch's training step.")
    p.add_argument("--model", default="resnet20", help=peer_models.build.__doc__)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--size", type=int, default=32, help="height and width of the images")
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--format", default="auto", choices=(*FORMATS, "auto"))
    p.add_argument("--update", default="auto", choices=(*UPDATES, "auto"))
    p.add_argument("--compile", action="store_true", help="torch.compile the network")
    p.add_argument("--warmup", type=int, default=3, help="steps before timing")
    p.add_argument("--probe", type=int, default=3, help="timed steps a pair with auto")
    p.add_argument("--steps", type=int, default=10, help="timed steps without --serve")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--serve", action="store_true")
    p.add_argument("--probed", default="null", help=argparse.SUPPRESS)
    args = p.parse_args()
    base = status_mib("VmRSS")
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)

    if "auto" in (args.format, args.update):
        probed = choose(args)
        layout, update = min(probed, key=probed.get).split("/")
        rounded = {k: round(v, 4) for k, v in probed.items()}
        os.execv(sys.executable, [sys.executable, *sys.argv, "--format", layout,
                                  "--update", update, "--probed", json.dumps(rounded)])

    step = Step(args, args.format, args.update)
    step.run(args.warmup)
    about = describe(args, step, base)
    if args.serve:
        serve(step, about)
        return
    seconds, _ = step.run(args.steps)
    median = statistics.median(seconds)
    print(json.dumps({
        **about, "steps": args.steps, "median_step_seconds": round(median, 5),
        "images_per_second": round(args.batch / median, 1),
        "peak_rss_mib": round(status_mib("VmHWM"), 1)}))


if __name__ == "__main__":
    main()
