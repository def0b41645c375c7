#!/usr/bin/env python3
"""Writes the small models, and what PyTorch computes for them, that the tests of
the importer use.

usage: fixtures.py FOLDER      (testdata/golden/foreign)
"""

import pathlib
import sys
import warnings

import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

import foreign

warnings.filterwarnings("ignore")
SIZE, CLASSES, BATCH = 16, 5, 4


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1)

    def forward(self, x):
        s = x.mean((2, 3), keepdim=True)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(s))))


class Cnn(nn.Module):
    """Every kind of layer of the mobile networks, and of the older ones."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.expand, self.norm2 = nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16, eps=1e-3)
        self.depthwise, self.norm3 = nn.Conv2d(16, 16, 5, 1, 2, groups=16, bias=False), nn.BatchNorm2d(16)
        self.gate = Gate(16)
        self.project, self.norm4 = nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=4)
        self.slope = nn.PReLU(16)
        self.hidden, self.head = nn.Linear(48, 12), nn.Linear(12, CLASSES)

    def forward(self, x):
        x = F.hardswish(self.norm1(self.stem(x)))
        y = F.relu6(self.norm2(self.expand(x)))
        y = F.silu(self.norm3(self.depthwise(y)))
        y = self.norm4(self.project(self.gate(y)))
        x = torch.cat([x + y, F.leaky_relu(x, 0.1)], 1)
        x = F.pad(x, (1, 1, 0, 0))
        x = self.slope(self.grouped(x))
        x = x.view(x.size(0), 4, 4, x.size(2), x.size(3)).transpose(1, 2).reshape(x.shape)  # channel shuffle
        a, b = x.chunk(2, 1)
        x = torch.cat([F.max_pool2d(a, 3, 2, 1), F.avg_pool2d(b, 2, 2, ceil_mode=True), F.elu(b[:, :, ::2, ::2])], 1)
        x = torch.cat([x.mean((2, 3)), x.flatten(2).sum(2) * 0.01], 1)
        x = F.softplus(self.hidden(x)) * torch.tanh(self.hidden(x))
        return self.head(x)


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.scale = nn.Parameter(torch.full((d,), 0.5))

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1)
        x = x + self.scale * self.out((a @ v).transpose(1, 2).reshape(b, n, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, d=12):
        super().__init__()
        self.patch = nn.Conv2d(3, d, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, d) * 0.5)
        self.place = nn.Parameter(torch.randn(1, 17, d) * 0.5)
        self.block, self.norm, self.head = Block(d, 3), nn.LayerNorm(d), nn.Linear(d, CLASSES)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.norm(self.block(x))[:, 0])


class Nhwc(nn.Module):
    """Converted by hand below as TensorFlow's converter does it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8, eps=1e-3), nn.Linear(8, CLASSES)

    def forward(self, x):
        x = F.pad(x * 0.5 - 0.25, (0, 1, 0, 1))
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))


def nhwc(model, path):
    s = model.state_dict()
    weights = {
        "model/conv/kernel": s["conv.weight"], "model/bn/gamma": s["norm.weight"], "model/bn/beta": s["norm.bias"],
        "model/bn/moving_mean": s["norm.running_mean"], "model/bn/moving_variance": s["norm.running_var"],
        "model/head/kernel": s["head.weight"].t(), "model/head/bias": s["head.bias"],
    }
    node = helper.make_node
    nodes = [
        node("Mul", ["input_1:0", "half"], ["scaled"]),
        node("Sub", ["scaled", "quarter"], ["shifted"]),
        node("Transpose", ["shifted"], ["nchw"], perm=[0, 3, 1, 2]),
        node("Pad", ["nchw", "pads"], ["padded"], mode="constant"),
        node("Conv", ["padded", "model/conv/kernel"], ["c"], strides=[2, 2], auto_pad="VALID"),
        node("BatchNormalization", ["c", "model/bn/gamma", "model/bn/beta", "model/bn/moving_mean", "model/bn/moving_variance"],
             ["n"], epsilon=1e-3),
        node("Relu", ["n"], ["r"]),
        node("Transpose", ["r"], ["back"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["back"], ["pooled"], axes=[1, 2], keepdims=0),
        node("MatMul", ["pooled", "model/head/kernel"], ["product"]),
        node("Add", ["product", "model/head/bias"], ["logits"]),
        node("Softmax", ["logits"], ["predictions"], axis=1),
    ]
    initializers = [numpy_helper.from_array(v.detach().contiguous().numpy(), k) for k, v in weights.items()]
    initializers += [
        helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]), helper.make_tensor("quarter", TensorProto.FLOAT, [1], [0.25]),
        helper.make_tensor("pads", TensorProto.INT64, [8], [0, 0, 0, 0, 0, 0, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes, "tf2onnx", [helper.make_tensor_value_info("input_1:0", TensorProto.FLOAT, ["unk", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["unk", CLASSES])], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7), path)
    return {"conv.weight": "model/conv/kernel", "norm.weight": "model/bn/gamma", "norm.bias": "model/bn/beta",
            "norm.running_mean": "model/bn/moving_mean", "norm.running_var": "model/bn/moving_variance",
            "head.weight": "model/head/kernel", "head.bias": "model/head/bias"}


def typed(path):
    """Stores weights in the typed fields instead of raw bytes, as old exporters do."""
    m = onnx.load(path)
    for t in m.graph.initializer:
        if t.data_type == TensorProto.FLOAT:
            v = numpy_helper.to_array(t).flatten().tolist()
            t.ClearField("raw_data")
            t.float_data.extend(v)
    for n in m.graph.node:
        n.ClearField("doc_string")
    onnx.save(m, path)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    foreign.SIZE, foreign.CLASSES, foreign.BATCH, foreign.BATCHES = SIZE, CLASSES, BATCH, 1
    for name, cls, opset in (("cnn", Cnn, 11), ("transformer", Transformer, 17), ("nhwc", Nhwc, 12)):
        torch.manual_seed(1)
        model = cls()
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d):
                nn.init.uniform_(m.weight, 0.5, 1.5)
                nn.init.uniform_(m.bias, -0.2, 0.2)
                m.running_mean.normal_(0, 0.1)
                m.running_var.uniform_(0.5, 1.5)
        names = None
        if cls is Nhwc:
            names = nhwc(model, str(out / f"{name}.onnx"))
        else:
            foreign.MODELS[name] = (None, {}, dict(opset_version=opset))
            foreign.export(name, out, model)
            typed(str(out / f"{name}.onnx"))
        foreign.golden(name, out, model)
        if names:
            from safetensors.torch import load_file

            path = str(out / f"{name}.0.safetensors")
            renamed = {}
            for k, v in load_file(path).items():
                kind, _, rest = k.partition(".")
                if rest in names:
                    k = f"{kind}.{names[rest]}"
                    v = v.t().contiguous() if rest == "head.weight" else v
                renamed[k] = v
            save_file(renamed, path)


if __name__ == "__main__":
    main()
