"""Shake-Shake, PyramidNet with ShakeDrop, AmoebaNet-B, and the switches of the
residual networks (cardinality, squeeze and excitation, pre-activation, dropout,
stochastic depth) in PyTorch: the reference that our graphs are compared with.

Parameter names are those of graphs/models. Random draws come from draws(), which
the caller sets: a function (name, shape, keep) → tensor that gives numbers in
[0, 1) for keep 0, and 1/keep with probability keep, else 0, otherwise.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from networks import conv

draws = None


class Shake(torch.autograd.Function):
    """forward·x, and backward·dy on the way back."""

    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_factor = backward
        return x * forward

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.backward_factor, None, None


class Sequence(nn.ModuleList):
    def forward(self, x):
        for m in self:
            x = m(x)
        return x


def drop_path(name, x, p):
    return x * draws(name, (x.shape[0], 1, 1, 1), 1 - p) if p else x


# Shake-Shake (Gastaldi 2017; the author's shakeshakeblock.lua).


class ShakeShortcut(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.conv2, self.bn = conv(i, o // 2, 1), conv(i, o - o // 2, 1), nn.BatchNorm2d(o)
        self.stride = stride

    def forward(self, x):
        s = self.stride
        one = self.conv1(F.avg_pool2d(x, 1, s))
        moved = F.pad(x, (1, -1, 1, -1))  # right and down
        two = self.conv2(F.avg_pool2d(moved, 1, s))
        return self.bn(torch.cat((one, two), 1))


class ShakeBranch(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class ShakeBlock(nn.Module):
    def __init__(self, name, i, o, stride, mode):
        super().__init__()
        self.name, self.mode = name, mode
        self.branch1, self.branch2 = ShakeBranch(i, o, stride), ShakeBranch(i, o, stride)
        self.shortcut = ShakeShortcut(i, o, stride) if i != o else None

    def forward(self, x):
        active = F.relu(x)
        a, b = self.branch1(active), self.branch2(active)
        shape = (x.shape[0], 1, 1, 1)
        alpha = draws(self.name + ".shake.alpha", shape, 0)
        beta = {"shake": lambda: draws(self.name + ".shake.beta", shape, 0),
                "keep": lambda: alpha, "even": lambda: torch.full_like(alpha, 0.5)}[self.mode]()
        y = Shake.apply(a, alpha, beta) + Shake.apply(b, 1 - alpha, 1 - beta)
        return y + (x if self.shortcut is None else self.shortcut(active))


class ShakeShake(nn.Module):
    def __init__(self, width, classes, mode="shake"):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        i = 16
        for stage in range(3):
            o, blocks = width << stage, Sequence()
            for n in range(4):
                blocks.append(ShakeBlock(f"layer{stage + 1}.{n}", i, o, 2 if stage and not n else 1, mode))
                i = o
            setattr(self, f"layer{stage + 1}", blocks)
        self.linear = nn.Linear(i, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        return self.linear(F.relu(x).mean((2, 3)))


# PyramidNet (Han et al. 2016) with ShakeDrop (Yamada et al. 2018).


class PyramidBlock(nn.Module):
    def __init__(self, name, i, width, stride, bottleneck, keep):
        super().__init__()
        self.name, self.keep, self.stride, self.bottleneck = name, keep, stride, bottleneck
        self.bn1 = nn.BatchNorm2d(i)
        if bottleneck:
            self.conv1, self.bn2 = conv(i, width, 1), nn.BatchNorm2d(width)
            self.conv2, self.bn3 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
            self.conv3, self.bn4 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        else:
            self.conv1, self.bn2 = conv(i, width, 3, stride), nn.BatchNorm2d(width)
            self.conv2, self.bn3 = conv(width, width, 3), nn.BatchNorm2d(width)

    def forward(self, x):
        y = self.conv1(self.bn1(x))
        if self.bottleneck:
            y = self.bn4(self.conv3(F.relu(self.bn3(self.conv2(F.relu(self.bn2(y)))))))
        else:
            y = self.bn3(self.conv2(F.relu(self.bn2(y))))
        if self.keep < 1:
            shape = (x.shape[0], 1, 1, 1)
            # The graph's factor is a float32; it has to make the same 1 of the draw.
            keep = torch.tensor(self.keep, dtype=torch.float32).item()
            b = draws(self.name + ".shakedrop.gate", shape, self.keep) * keep
            alpha = 2 * draws(self.name + ".shakedrop.alpha", shape, 0) - 1
            beta = draws(self.name + ".shakedrop.beta", shape, 0)
            y = Shake.apply(y, b + alpha - b * alpha, b + beta - b * beta)
        if self.stride != 1:
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        return y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))


class PyramidNet(nn.Module):
    def __init__(self, depth, alpha, classes, bottleneck=False, shakedrop=0.0):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        n = (depth - 2) // (9 if bottleneck else 6)
        i, total = 16, 3 * n
        for stage in range(3):
            blocks = Sequence()
            for k in range(n):
                at = stage * n + k + 1
                width = int(16 + at * alpha / total + 0.5)
                blocks.append(PyramidBlock(f"layer{stage + 1}.{k}", i, width, 2 if stage and not k else 1, bottleneck,
                                           1 - shakedrop * at / total))
                i = 4 * width if bottleneck else width
            setattr(self, f"layer{stage + 1}", blocks)
        self.bn_final, self.fc = nn.BatchNorm2d(i), nn.Linear(i, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        return self.fc(F.relu(self.bn_final(x)).mean((2, 3)))


# AmoebaNet-B (Real et al. 2018; tensorflow/tpu, models/official/amoeba_net).


def same(x, kernel, stride, dilation=1, value=0.0):
    """Pads as TensorFlow's "SAME" does."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


class Pointwise(nn.Module):
    """relu, 1×1 convolution, norm"""

    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn(self.conv(F.relu(x)))


class Separable(nn.ModuleList):
    class Half(nn.Module):
        def __init__(self, i, o, kernel, stride, dilation):
            super().__init__()
            self.kernel, self.stride, self.dilation = kernel, stride, dilation
            self.depthwise = nn.Conv2d(i, i, kernel, stride, dilation=dilation, groups=i, bias=False)
            self.pointwise, self.bn = conv(i, o, 1), nn.BatchNorm2d(o)

        def forward(self, x):
            x = same(F.relu(x), self.kernel, self.stride, self.dilation)
            return self.bn(self.pointwise(self.depthwise(x)))

    def __init__(self, i, o, kernel, stride, dilation=1):
        super().__init__([Separable.Half(i, o, kernel, stride, dilation), Separable.Half(o, o, kernel, 1, dilation)])

    def forward(self, x):
        return self[1](self[0](x))


class Squeezed(nn.Module):
    """The 3×3 convolution of a quarter of the filters."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.pre, self.bn0 = conv(i, o // 4, 1), nn.BatchNorm2d(o // 4)
        self.conv, self.bn1 = nn.Conv2d(o // 4, o // 4, 3, stride, bias=False), nn.BatchNorm2d(o // 4)
        self.post, self.bn2, self.stride = conv(o // 4, o, 1), nn.BatchNorm2d(o), stride

    def forward(self, x):
        x = F.relu(self.bn0(self.pre(F.relu(x))))
        x = F.relu(self.bn1(self.conv(same(x, 3, self.stride))))
        return self.bn2(self.post(x))


class Pool(nn.Module):
    def __init__(self, kind, kernel, stride, i, o):
        super().__init__()
        self.kind, self.kernel, self.stride = kind, kernel, stride
        if i != o:
            self.conv, self.bn = conv(i, o, 1), nn.BatchNorm2d(o)

    def forward(self, x):
        if self.kind == "max":
            x = F.max_pool2d(same(x, self.kernel, self.stride, value=float("-inf")), self.kernel, self.stride)
        else:  # padding does not count
            count = F.avg_pool2d(same(torch.ones_like(x[:1, :1]), self.kernel, self.stride), self.kernel, self.stride)
            x = F.avg_pool2d(same(x, self.kernel, self.stride), self.kernel, self.stride) / count
        return self.bn(self.conv(x)) if hasattr(self, "conv") else x


class Halves(nn.Module):
    """TensorFlow's factorized_reduction behind a relu."""

    def __init__(self, i, o):
        super().__init__()
        self.conv1, self.conv2, self.bn = conv(i, o // 2, 1), conv(i, o - o // 2, 1), nn.BatchNorm2d(o)

    def forward(self, x):
        x = F.relu(x)
        one = self.conv1(F.avg_pool2d(x, 1, 2))
        two = self.conv2(F.avg_pool2d(F.pad(x, (-1, 1, -1, 1)), 1, 2))
        return self.bn(torch.cat((one, two), 1))


NORMAL = ["1x1", "max_pool_3x3", "none", "separable_3x3_2", "1x1", "separable_3x3_2", "1x1", "none", "avg_pool_3x3", "1x1"]
NORMAL_INPUTS, NORMAL_USED = [1, 1, 1, 0, 1, 0, 2, 2, 1, 5], [0, 1, 1, 0, 0, 1, 0]
REDUCTION = ["max_pool_2x2", "max_pool_3x3", "none", "3x3", "dil_2_separable_5x5_2", "max_pool_3x3", "none",
             "separable_3x3_2", "avg_pool_3x3", "1x1"]
REDUCTION_INPUTS, REDUCTION_USED = [0, 0, 2, 1, 2, 2, 3, 1, 4, 3], [1, 1, 1, 1, 1, 0, 0]


def operation(name, i, o, stride):
    if name == "none":
        return nn.Identity() if stride == 1 and i == o else Pointwise(i, o, stride)
    if name == "1x1":
        return Pointwise(i, o, stride)
    if name == "3x3":
        return Squeezed(i, o, stride)
    if name == "separable_3x3_2":
        return Separable(i, o, 3, stride)
    if name == "dil_2_separable_5x5_2":
        return Separable(i, o, 5, stride, 2)
    return Pool(name[:3], int(name[-1]), stride, i, o)


class Cell(nn.Module):
    def __init__(self, name, x, before, o, reduction, drop):
        """x and before are (channels, halvings) of the last two outputs."""
        super().__init__()
        self.name, self.drop = name, drop
        ops, self.inputs, used = (REDUCTION, REDUCTION_INPUTS, REDUCTION_USED) if reduction else (NORMAL, NORMAL_INPUTS, NORMAL_USED)
        self.begin = Pointwise(x[0], o)
        self.prev = None
        first = x[0]
        if before is not None:
            first = o
            if before[1] != x[1]:
                self.prev = Halves(before[0], o)
            elif before[0] != o:
                self.prev = Pointwise(before[0], o)
        self.ops, self.join = ops, [n for n, u in enumerate(used) if not u]
        channels = [o, first]
        for n in range(5):
            pair = nn.ModuleList()
            for side in range(2):
                s = self.inputs[2 * n + side]
                pair.append(operation(ops[2 * n + side], channels[s], o, 2 if reduction and s < 2 else 1))
            setattr(self, f"op{n}", pair)
            channels.append(o)
        self.out = (o * len(self.join), x[1] + reduction)

    def forward(self, x, before):
        if before is None:
            before = x
        states = [self.begin(x), before if self.prev is None else self.prev(before)]
        for n in range(5):
            total = 0
            for side in range(2):
                y = getattr(self, f"op{n}")[side](states[self.inputs[2 * n + side]])
                if self.ops[2 * n + side] != "none":
                    y = drop_path(f"{self.name}.op{n}.{side}.drop", y, self.drop)
                total = total + y
            states.append(total)
        return torch.cat([states[s] for s in self.join], 1)


class Auxiliary(nn.Module):
    def __init__(self, i, size, classes):
        super().__init__()
        self.proj, self.bn0 = conv(i, 128, 1), nn.BatchNorm2d(128)
        self.conv, self.bn1 = nn.Conv2d(128, 768, size, bias=False), nn.BatchNorm2d(768)
        self.linear = nn.Linear(768, classes)

    def forward(self, x):
        x = F.relu(self.bn0(self.proj(F.avg_pool2d(F.relu(x), 5, 3))))
        return self.linear(F.relu(self.bn1(self.conv(x))).flatten(1))


class AmoebaNet(nn.Module):
    def __init__(self, n, filters, classes, size, drop=0.0, weight=0.4):
        super().__init__()
        self.stem = nn.ModuleDict({"conv": conv(3, 3 * filters, 3), "bn": nn.BatchNorm2d(3 * filters)})
        x, before, self.order, total = (3 * filters, 0), None, [], 3 * n + 2
        self.weight, self.aux_after = weight, 2 * n
        for stage in range(3):
            kinds = ["reduction"] * (stage > 0) + ["cell"] * n
            for k, kind in enumerate(kinds):
                name = f"reduction{stage}" if kind == "reduction" else f"cell{stage * n + k - (stage > 0)}"
                cell = Cell(name, x, before, filters << stage, kind == "reduction", drop * (len(self.order) + 1) / total)
                setattr(self, name, cell)
                self.order.append(name)
                x, before = cell.out, x
            if stage == 1:
                half = -(-size // 2)
                self.aux, self.aux_after = Auxiliary(x[0], (half - 5) // 3 + 1, classes), len(self.order)
        self.linear = nn.Linear(x[0], classes)

    def forward(self, x):
        x, before = self.stem["bn"](self.stem["conv"](x)), None
        for k, name in enumerate(self.order, 1):
            x, before = getattr(self, name)(x, before), x
            if k == self.aux_after:
                self.aux_logits = self.aux(x)
        return self.linear(F.relu(x).mean((2, 3)))

    def loss(self, logits, targets):
        return F.cross_entropy(logits, targets) + self.weight * F.cross_entropy(self.aux_logits, targets)


# The residual networks' switches.


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        reduced = max(8, (c // 16 + 4) // 8 * 8)
        self.fc1, self.fc2 = nn.Conv2d(c, reduced, 1), nn.Conv2d(reduced, c, 1)

    def forward(self, x):
        s = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(s))))


class Block(nn.Module):
    """A block of the large networks, of the small ones if small."""

    def __init__(self, name, i, width, out, stride, bottleneck, groups=1, variant="B", se=False, preact=False, small=False, drop=0.0):
        super().__init__()
        self.name, self.preact, self.small, self.drop, self.stride, self.out = name, preact, small, drop, stride, out
        if bottleneck:
            one, three = (stride, 1) if variant == "A" else (1, stride)
            layers = [conv(i, width, 1, one), nn.Conv2d(width, width, 3, three, 1, groups=groups, bias=False), conv(width, out, 1)]
        else:
            layers = [conv(i, out, 3, stride), conv(out, out, 3)]
        self.depth = len(layers)
        for n, layer in enumerate(layers, 1):
            setattr(self, f"conv{n}", layer)
            setattr(self, f"bn{n}", nn.BatchNorm2d(layer.in_channels if preact else layer.out_channels))
        self.downsample = None
        if (stride != 1 or i != out) and not small:
            self.downsample = nn.Sequential(conv(i, out, 1, stride))
            if not preact:
                self.downsample.append(nn.BatchNorm2d(out))
        if se:
            self.se = SqueezeExcite(out)

    def forward(self, x):
        y, short = x, x
        for n in range(1, self.depth + 1):
            layer, norm = getattr(self, f"conv{n}"), getattr(self, f"bn{n}")
            if self.preact:
                y = F.relu(norm(y))
                if n == 1 and self.downsample is not None:
                    short = self.downsample(y)
                y = layer(y)
            else:
                y = norm(layer(y))
                if n < self.depth:
                    y = F.relu(y)
        if hasattr(self, "se"):
            y = self.se(y)
        y = drop_path(self.name + ".drop", y, self.drop)
        if self.small and y.shape != x.shape:
            extra = y.shape[1] - x.shape[1]
            short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra // 2, extra - extra // 2))
        if self.preact:
            return y + short
        if self.downsample is not None:
            short = self.downsample(x)
        return F.relu(y + short)


class Residual(nn.Module):
    """stem is imagenet, cifar, or small for the networks of 16 channels."""

    def __init__(self, blocks, classes, bottleneck, stem, groups=1, base=64, variant="B", se=False, preact=False,
                 dropout=0.0, stochastic_depth=0.0):
        super().__init__()
        small = stem == "small"
        self.stem, self.preact, self.dropout = stem, preact, dropout
        first = 16 if small else 64
        if stem == "imagenet" and variant == "C":
            self.conv1 = nn.Sequential(conv(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU(), conv(32, 32, 3),
                                       nn.BatchNorm2d(32), nn.ReLU(), conv(32, 64, 3))
        else:
            self.conv1 = conv(3, first, 7, 2) if stem == "imagenet" else conv(3, first, 3)
        if not preact:
            self.bn1 = nn.BatchNorm2d(first)
        i, at, total = first, 0, sum(blocks)
        self.layers = len(blocks)
        for stage, n in enumerate(blocks):
            layer = Sequence()
            for k in range(n):
                at += 1
                out, width = first << stage, first << stage
                if bottleneck:
                    out, width = 4 * out, groups * (base << stage)
                layer.append(Block(f"layer{stage + 1}.{k}", i, width, out, 2 if stage and not k else 1, bottleneck, groups,
                                   variant, se, preact, small, stochastic_depth * at / total))
                i = out
            setattr(self, f"layer{stage + 1}", layer)
        if preact:
            self.norm = nn.BatchNorm2d(i)
        setattr(self, "linear" if small else "fc", nn.Linear(i, classes))

    def forward(self, x):
        x = self.conv1(x)
        if not self.preact:
            x = F.relu(self.bn1(x))
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for n in range(self.layers):
            x = getattr(self, f"layer{n + 1}")(x)
        if self.preact:
            x = F.relu(self.norm(x))
        x = x.mean((2, 3))
        if self.dropout:
            x = x * draws("dropout", tuple(x.shape), 1 - self.dropout)
        return (self.linear if self.stem == "small" else self.fc)(x)
