#!/usr/bin/env python3
"""Exports classifiers with random weights from PyTorch and timm, and computes
their loss, logits, gradients and running statistics in float64, for the Go
program beside this file to compare with what the imported models compute.

usage: foreign.py FOLDER [NAME...]

Each NAME gives FOLDER/NAME.onnx and FOLDER/NAME.0.safetensors. The exports differ
on purpose: operator sets 11 to 20, both of PyTorch's exporters, batch norms kept
or folded, weights beside the model.
"""

import copy
import os
import pathlib
import sys
import warnings

import onnx
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
torch.set_num_threads(2)
os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"

CLASSES, SIZE, BATCH = 10, 64, 4
# As in the Go program: a tensor's gradient is compared relative to its largest
# element, or to this part of the largest of all gradients.
FLOOR = 1e-3

# name: (timm model, options, exporter options)
MODELS = {
    "resnet18d": ("resnet18d", {}, dict(opset_version=11)),
    "resnet50": ("resnet50", {}, dict(opset_version=17)),
    "mobilenetv2_100": ("mobilenetv2_100", {}, dict(opset_version=13)),
    "mobilenetv3_small_100": ("mobilenetv3_small_100", {}, dict(opset_version=17)),
    "mobilenetv3_large_100": ("mobilenetv3_large_100", {}, dict(opset_version=14)),
    "efficientnet_b0": ("efficientnet_b0", {}, dict(opset_version=17)),
    "regnetx_002": ("regnetx_002", {}, dict(opset_version=12)),
    "densenet121": ("densenet121", {}, dict(opset_version=17)),
    "convnext_atto": ("convnext_atto", {}, dict(opset_version=20)),
    "vit_tiny": ("vit_tiny_patch16_224", dict(img_size=SIZE), dict(opset_version=17)),
    "resnext26ts": ("resnext26ts", {}, dict(opset_version=17)),
    "ghostnet_100": ("ghostnet_100", {}, dict(opset_version=17)),
    "mixer_s32": ("mixer_s32_224", dict(img_size=SIZE), dict(opset_version=17)),
    "vgg11_bn": ("vgg11_bn", {}, dict(opset_version=17)),
    "squeezenet1_1": ("torchvision:squeezenet1_1", {}, dict(opset_version=17)),
    "shufflenet_v2": ("torchvision:shufflenet_v2_x0_5", {}, dict(opset_version=17)),
    "swin_tiny": ("swin_tiny_patch4_window7_224", dict(img_size=SIZE, window_size=2), dict(opset_version=17)),
    "swin_tiny_window8": ("swin_tiny_patch4_window7_224", dict(img_size=SIZE, window_size=8), dict(opset_version=16)),
    "resnet50_gn": ("resnet50_gn", {}, dict(opset_version=17)),
    # The newer exporter, by default with norms folded into the convolutions.
    "resnet18d_dynamo": ("resnet18d", {}, dict(opset_version=18, dynamo=True)),
    "resnet18d_dynamo_kept": ("resnet18d", {}, dict(opset_version=18, dynamo=True, optimize=False)),
    "efficientnet_b0_dynamo": ("efficientnet_b0", {}, dict(dynamo=True)),
    "convnext_atto_dynamo": ("convnext_atto", {}, dict(opset_version=21, dynamo=True)),
    "vit_tiny_dynamo": ("vit_tiny_patch16_224", dict(img_size=SIZE), dict(opset_version=20, dynamo=True)),
    "swin_tiny_dynamo": ("swin_tiny_patch4_window7_224", dict(img_size=SIZE, window_size=4), dict(dynamo=True)),
}


def build(name):
    arch, options, _ = MODELS[name]
    torch.manual_seed(0)
    if arch.startswith("torchvision:"):
        import torchvision

        kind = arch.split(":")[1]
        model = getattr(torchvision.models, kind)(num_classes=CLASSES)
    else:
        import timm

        model = timm.create_model(arch, num_classes=CLASSES, pretrained=False, **options)
    if arch.startswith("vgg"):  # made for 7×7 maps, which 64 pixels do not give
        model.pre_logits.input_kernel_size, model.pre_logits.fc1 = 2, torch.nn.Conv2d(512, 512, 2)
        model.pre_logits.fc2, model.head.fc = torch.nn.Conv2d(512, 512, 1), torch.nn.Linear(512, CLASSES)
    for m in model.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
        for draw in ("drop_prob", "drop_rate"):  # the names that timm has for what it drops at random
            if hasattr(m, draw):
                setattr(m, draw, 0.0)
        if isinstance(m, torch.nn.BatchNorm2d):  # neither ones and zeros, nor equal to each other
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.uniform_(m.bias, -0.2, 0.2)
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for p in model.parameters():  # nothing is all zeros, or any other one number
            if p.numel() > 1 and p.min() == p.max():
                p.add_(torch.randn_like(p) * 0.05)
    return model


def export(name, folder, model):
    options = dict(MODELS[name][2])
    path = folder / f"{name}.onnx"
    images = torch.randn(2, 3, SIZE, SIZE)
    if options.pop("dynamo", False):
        torch.onnx.export(model.eval(), (images,), str(path), input_names=["x"], output_names=["y"], dynamo=True,
                          dynamic_shapes=({0: torch.export.Dim("n")},), verbose=False,
                          keep_initializers_as_inputs=False, **options)
        return
    torch.onnx.export(model.eval(), images, str(path), training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False, input_names=["x"], output_names=["y"], dynamo=False,
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, **options)


class Folded(torch.nn.Module):
    """In place of a norm that the exporter has folded: its activation alone."""

    def __init__(self, norm):
        super().__init__()
        self.rest = torch.nn.Sequential(*[m for n, m in norm.named_children() if n in ("drop", "act")])

    def forward(self, x):
        return self.rest(x)


def renamed(model, tensors, folder):
    """What the newer exporter calls the weights that it has computed with:
    transposed, reshaped, or gathered ones, found by their values."""
    names = {}
    values = {k: onnx.numpy_helper.to_array(t, folder) for k, t in tensors.items() if t.data_type == onnx.TensorProto.FLOAT}
    for k, p in model.named_parameters():
        if k in tensors:
            continue
        for change in (lambda g: g.T, lambda g: g.reshape(1, -1, 1, 1), lambda g: g[None]):
            v = change(p.detach()).numpy() if p.ndim in (1, 2) else None
            found = [n for n, t in values.items() if v is not None and t.shape == v.shape and (t == v).all()]
            if found:
                names[k] = (found[0], change)
                break
    return names


def fold(model, path):
    """Changes model to what the file computes where the exporter has folded norms
    into convolutions, with the file's numbers, and returns what it calls their
    shifts."""
    file = onnx.load(path)
    tensors = {t.name: t for t in file.graph.initializer}
    convolutions = {n.input[1]: n for n in file.graph.node if n.op_type == "Conv"}
    names = renamed(model, tensors, os.path.dirname(path))
    if any(n.op_type == "BatchNormalization" for n in file.graph.node):
        return names
    order = []
    hooks = [m.register_forward_hook(lambda m, *_, k=k: order.append((k, m))) for k, m in model.named_modules()
             if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d))]
    model.eval()(torch.zeros(1, 3, SIZE, SIZE))
    for h in hooks:
        h.remove()
    value = lambda name: torch.nn.Parameter(torch.from_numpy(onnx.numpy_helper.to_array(tensors[name], os.path.dirname(path)).copy()))
    for (k, conv), (norm_name, norm) in zip(order, order[1:]):
        if not isinstance(norm, torch.nn.BatchNorm2d):
            continue
        n = convolutions[k + ".weight"]
        conv.weight, conv.bias = value(n.input[1]), value(n.input[2])
        names[k + ".bias"] = (n.input[2], lambda g: g)
        parent, _, last = norm_name.rpartition(".")
        setattr(model.get_submodule(parent), last, Folded(norm))
    return names


def step(model, images, targets):
    """The outcome of a training step in the model's own precision."""
    dtype = next(model.parameters()).dtype
    model.train().zero_grad()
    logits = model(images.to(dtype))
    loss = F.cross_entropy(logits, targets.to(dtype))
    loss.backward()
    out = {"loss": loss.detach().reshape(1), "logits": logits.detach()}
    out |= {"grad." + k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in model.named_parameters()}
    return out | {"stat." + k: b.clone() for k, b in model.named_buffers() if "running_" in k}


def distance(got, want, least):
    """The Go program's measure: relative to the largest element, or to least."""
    return ((got.double() - want).abs().max() / max(want.abs().max().item(), least, 1e-30)).item()


def golden(name, folder, model, names={}):
    """A step in float64, and how far PyTorch's own step in float32 is from it:
    deep networks of random weights magnify rounding, and an activation may lie
    so near the kink of a rectifier that rounding decides on its gradient."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
    targets = torch.rand(BATCH, CLASSES, generator=generator).softmax(1)
    single = step(copy.deepcopy(model).float(), images, targets)
    model = model.double()
    with torch.no_grad():
        evaluation = model.eval()(images.double())
    out = step(model, images, targets)
    least = FLOOR * max(v.abs().max().item() for k, v in out.items() if k.startswith("grad."))
    rounding = {
        "rounding.logits": distance(single["logits"], out["logits"], 0),
        "rounding.grad": max(distance(single[k], v, least) for k, v in out.items() if k.startswith("grad.")),
        "rounding.stat": max([distance(single[k], v, 0) for k, v in out.items() if k.startswith("stat.")] or [0]),
    }
    out |= {"images": images, "targets": targets, "eval": evaluation}
    out |= {k: torch.tensor([v]) for k, v in rounding.items()}
    for k, (new, change) in names.items():
        out["grad." + new] = change(out.pop("grad." + k))
    save_file({k: v.float().contiguous() for k, v in out.items()}, str(folder / f"{name}.0.safetensors"))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in sys.argv[2:] or MODELS:
        try:
            model = build(name)
            export(name, folder, model)
            names = fold(model, str(folder / f"{name}.onnx")) if MODELS[name][2].get("dynamo") else {}
            golden(name, folder, model, names)
            print(f"{name}: exported", flush=True)
        except Exception as e:  # what cannot be exported is not the importer's matter
            failed = True
            print(f"{name}: not exported: {type(e).__name__}: {str(e).splitlines()[0]}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
