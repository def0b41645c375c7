"""The wide residual networks (Zagoruyko and Komodakis 2016, arXiv 1605.07146)
and the large residual networks (He et al. 2015, arXiv 1512.03385, table 1; the
variants of He et al. 2018, arXiv 1812.01187, §4.2) in PyTorch: the reference
that our graphs are compared with.

Parameter names are those of graphs/models: torchvision's for ResNet (timm's in
the variants C and D), those of the small pre-activation networks for the wide.
golden_networks.py checks ResNet against torchvision where that is installed.
"""

import re

import torch.nn as nn
import torch.nn.functional as F


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, k // 2, bias=False)


class WideBlock(nn.Module):
    """Pre-activation block; the projection starts after the first bn-relu."""

    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = conv(in_planes, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3)
        self.shortcut = nn.Sequential()
        if in_planes != planes or stride != 1:
            self.shortcut.append(conv(in_planes, planes, 1, stride))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        short = self.shortcut(y) if len(self.shortcut) else x
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + short


class WideResNet(nn.Module):
    """WRN-depth-width for small images, no dropout; depth is 6n+4."""

    def __init__(self, depth, width, classes):
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth {depth} is not 6n+4")
        self.conv1 = conv(3, 16, 3)
        in_planes = 16
        for stage in range(3):
            blocks, planes = [], 16 * width << stage
            for i in range((depth - 4) // 6):
                blocks.append(WideBlock(in_planes, planes, 2 if stage and not i else 1))
                in_planes = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(in_planes)
        self.linear = nn.Linear(in_planes, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


class Residual(nn.Module):
    """A basic or bottleneck block in the given variant."""

    def __init__(self, in_planes, width, stride, bottleneck, variant):
        super().__init__()
        out = 4 * width if bottleneck else width
        if bottleneck:
            one, three = (stride, 1) if variant == "A" else (1, stride)
            layers = [conv(in_planes, width, 1, one), conv(width, width, 3, three), conv(width, out, 1)]
        else:
            layers = [conv(in_planes, out, 3, stride), conv(out, out, 3)]
        self.depth = len(layers)
        for i, layer in enumerate(layers, 1):
            setattr(self, f"conv{i}", layer)
            setattr(self, f"bn{i}", nn.BatchNorm2d(layer.out_channels))
        self.downsample = None
        if stride != 1 or in_planes != out:
            if variant == "D":
                pool = nn.Identity() if stride == 1 else nn.AvgPool2d(
                    2, stride, ceil_mode=True, count_include_pad=False)
                self.downsample = nn.Sequential(pool, conv(in_planes, out, 1), nn.BatchNorm2d(out))
            else:
                self.downsample = nn.Sequential(conv(in_planes, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class ResNet(nn.Module):
    """stem is imagenet or cifar; variant A, B, C or D."""

    def __init__(self, depth, classes, stem="imagenet", variant="B"):
        super().__init__()
        if stem == "cifar":
            self.conv1 = conv(3, 64, 3)
        elif variant in "CD":
            self.conv1 = nn.Sequential(
                conv(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU(),
                conv(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), conv(32, 64, 3))
        else:
            self.conv1 = conv(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        in_planes, bottleneck = 64, depth >= 50
        for stage, n in enumerate(BLOCKS[depth]):
            blocks, width = [], 64 << stage
            for i in range(n):
                blocks.append(Residual(in_planes, width, 2 if stage and not i else 1, bottleneck, variant))
                in_planes = 4 * width if bottleneck else width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(in_planes, classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def build(name, classes, size=None, stem="auto", variant="B"):
    """wrn28_10 (16_4, 40_2, …) or resnet18 to resnet152; None for another name.
    stem "auto" is imagenet from 64 pixels on."""
    if wide := re.fullmatch(r"wrn(\d+)_(\d+)", name):
        return WideResNet(int(wide[1]), int(wide[2]), classes)
    depth = re.fullmatch(r"resnet(\d+)", name)
    if depth is None or int(depth[1]) not in BLOCKS:
        return None
    if stem == "auto":
        stem = "imagenet" if size >= 64 else "cifar"
    return ResNet(int(depth[1]), classes, stem, variant)
