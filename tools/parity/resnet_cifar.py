"""The residual networks for 32×32 images of He et al. 2015 (arXiv 1512.03385,
§4.2) in PyTorch: the reference that our graphs are compared with.

Parameter names are those of akamaster/pytorch_resnet_cifar10, so that its
published weights load unchanged:

    conv1.weight, bn1.{weight,bias,running_mean,running_var},
    layerS.B.{conv1,conv2}.weight, layerS.B.{bn1,bn2}.*      S = 1..3
    layerS.0.shortcut.0.weight, layerS.0.shortcut.1.*        option B, S = 2, 3
    linear.weight, linear.bias

The pre-activation variant (He et al. 2016, arXiv 1603.05027, §3) keeps the
names, with a final `bn` in place of `bn1`. Where a block changes the shape its
shortcut starts after the block's first bn-relu, and option B is a bare 1×1
convolution (layerS.0.shortcut.0.weight, no normalisation).

    python resnet_cifar.py --weights resnet20.th --test test_batch.bin [--expect 91.73]

scores published weights on CIFAR-10 binary records: a check of this file.
"""

import argparse
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DEPTHS = (8, 20, 32, 44, 56, 110)


class PadShortcut(nn.Module):
    """Option A: every second pixel, zero channels on both sides; no parameters."""

    def __init__(self, in_planes, planes):
        super().__init__()
        # akamaster pads planes//4 a side, which is this when planes doubles.
        self.before = (planes - in_planes) // 2
        self.after = planes - in_planes - self.before

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


def make_shortcut(in_planes, planes, stride, option, norm):
    if stride == 1 and in_planes == planes:
        return nn.Sequential()
    if option == "A":
        return PadShortcut(in_planes, planes)
    layers = [nn.Conv2d(in_planes, planes, 1, stride, bias=False)]
    if norm:
        layers.append(nn.BatchNorm2d(planes))
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = make_shortcut(in_planes, planes, stride, option, norm=True)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class PreActBlock(nn.Module):
    def __init__(self, in_planes, planes, stride, option):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.changes = stride != 1 or in_planes != planes
        self.shortcut = make_shortcut(in_planes, planes, stride, option, norm=False)

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = self.shortcut(y) if self.changes else x
        y = self.conv2(F.relu(self.bn2(self.conv1(y))))
        return y + shortcut


class ResNet(nn.Module):
    """Depth 6n+2; images N×in_channels×H×W, logits N×classes."""

    def __init__(self, depth, classes=10, option="A", preact=False, in_channels=3, width=16):
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth {depth} is not 6n+2; known: {DEPTHS}")
        if option not in ("A", "B"):
            raise ValueError(f"shortcut option {option!r} is neither A nor B")
        self.preact = preact
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        if not preact:
            self.bn1 = nn.BatchNorm2d(width)
        block = PreActBlock if preact else BasicBlock
        in_planes = width
        for stage in range(3):
            planes = width << stage
            blocks = []
            for i in range((depth - 2) // 6):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(in_planes, planes, stride, option))
                in_planes = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        if preact:
            self.bn = nn.BatchNorm2d(in_planes)
        self.linear = nn.Linear(in_planes, classes)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, x):
        x = self.conv1(x)
        if not self.preact:
            x = F.relu(self.bn1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        if self.preact:
            x = F.relu(self.bn(x))
        return self.linear(x.mean(dim=(2, 3)))


def resnet(name, classes=10, option="A"):
    """Returns the network called name: resnet20, preact-resnet20, …"""
    preact = name.startswith("preact-")
    depth = name.removeprefix("preact-").removeprefix("resnet")
    if not depth.isdigit():
        raise ValueError(f"unknown model {name!r}")
    return ResNet(int(depth), classes, option, preact)


def read_cifar10(path):
    """Reads CIFAR-10 binary records: uint8 images N×3×32×32, int64 labels N."""
    raw = np.fromfile(path, np.uint8)
    if raw.size == 0 or raw.size % 3073:
        raise ValueError(f"{path}: {raw.size} bytes is not a whole number of 3073-byte records")
    records = raw.reshape(-1, 3073)
    if records[:, 0].max() > 9:
        raise ValueError(f"{path}: label {records[:, 0].max()} is above 9")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def normalise(images, mean, std):
    """Turns uint8 N×3×H×W into float32 ((x/255) − mean)/std."""
    x = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)
    return x.sub_(torch.tensor(mean).view(1, 3, 1, 1)).div_(torch.tensor(std).view(1, 3, 1, 1))


@torch.inference_mode()
def evaluate(model, images, labels, batch=1000):
    """Returns (accuracy in percent, mean cross-entropy), images normalised."""
    model.eval()
    right, loss = 0, 0.0
    for i in range(0, len(labels), batch):
        logits = model(images[i : i + batch])
        want = labels[i : i + batch]
        right += (logits.argmax(1) == want).sum().item()
        loss += F.cross_entropy(logits, want, reduction="sum").item()
    return 100 * right / len(labels), loss / len(labels)


def load_published(path):
    """Loads a published .th file; the depth follows from its keys."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    state = {k.removeprefix("module."): v for k, v in saved["state_dict"].items()}
    blocks = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("layer1."))
    model = ResNet(6 * blocks + 2, classes=state["linear.weight"].shape[0])
    model.load_state_dict(state, strict=True)
    return model


def main():
    p = argparse.ArgumentParser(description="Score published weights on CIFAR-10.")
    p.add_argument("--weights", required=True)
    p.add_argument("--test", required=True, help="CIFAR-10 binary records")
    p.add_argument("--expect", type=float, help="fail unless the accuracy is this (±0.005)")
    args = p.parse_args()
    images, labels = read_cifar10(args.test)
    # The published weights were trained with the ImageNet statistics.
    x = normalise(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    accuracy, loss = evaluate(load_published(args.weights), x, torch.from_numpy(labels))
    print(f"{args.weights}: accuracy {accuracy:.2f} %, loss {loss:.4f} on {len(labels)} images")
    if args.expect is not None and abs(accuracy - args.expect) > 0.005:
        sys.exit(f"expected {args.expect} %")


if __name__ == "__main__":
    main()
