"""Networks of the throughput comparison beyond tools/parity/resnet_cifar.py."""

import os
import re
import sys

import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../parity"))
import resnet_cifar


class WideBlock(nn.Module):
    """Pre-activation block; the projection starts after the first bn-relu."""

    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.project = None
        if in_planes != planes or stride != 1:
            self.project = nn.Conv2d(in_planes, planes, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = x if self.project is None else self.project(y)
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + shortcut


class WideResNet(nn.Module):
    """WRN-depth-width for small images, no dropout (Zagoruyko and Komodakis
    2016, arXiv 1605.07146); depth is 6n+4."""

    def __init__(self, depth, width, classes):
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth {depth} is not 6n+4")
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        blocks, in_planes = [], 16
        for stage in range(3):
            for i in range((depth - 4) // 6):
                planes = 16 * width << stage
                blocks.append(WideBlock(in_planes, planes, 2 if stage and not i else 1))
                in_planes = planes
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(in_planes)
        self.linear = nn.Linear(in_planes, classes)

    def forward(self, x):
        x = F.relu(self.bn(self.blocks(self.conv1(x))))
        return self.linear(x.mean((2, 3)))


class ResNet18(nn.Module):
    """He et al. 2015, table 1, 18 layers. The small stem is one 3×3
    convolution of stride 1 (images of 32 or 64), the other ImageNet's 7×7
    of stride 2 and a max pooling."""

    def __init__(self, classes, small):
        super().__init__()
        if small:
            stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        else:
            stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                    nn.MaxPool2d(3, 2, 1)]
        blocks, in_planes = [], 64
        for stage in range(4):
            for i in range(2):
                planes = 64 << stage
                stride = 2 if stage and not i else 1
                blocks.append(resnet_cifar.BasicBlock(in_planes, planes, stride, "B"))
                in_planes = planes
        self.features = nn.Sequential(*stem, *blocks)
        self.linear = nn.Linear(in_planes, classes)

    def forward(self, x):
        return self.linear(self.features(x).mean((2, 3)))


def build(name, classes, size=32):
    """resnet20 (8, 32, …), preact-resnet20, wrn16_4, resnet18 (its small stem
    below 64 pixels), resnet50 (torchvision's), small_cnn (tools/bench/gopeers)."""
    if wide := re.fullmatch(r"wrn(\d+)_(\d+)", name):
        return WideResNet(int(wide[1]), int(wide[2]), classes)
    if name == "small_cnn":
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))
    if name == "resnet18":
        return ResNet18(classes, small=size < 64)
    if name == "resnet50":
        import torchvision

        return torchvision.models.resnet50(num_classes=classes)
    return resnet_cifar.resnet(name, classes)
