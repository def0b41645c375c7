"""Runs ONNX's own checker over model files, with strict shape inference.

    python check_onnx.py FILE…     a folder stands for every .onnx file below it

ONNX's shape inference knows nothing of the runtime's own operators
(com.microsoft): it passes over them in silence, and over all that follows from
them, so a model that uses them would pass with most of it unseen. After the full
check of the file as it is, shapes are therefore inferred once more on a copy in
which standard operators with the same shapes stand in for those few, and every
value must get a shape. Reshapes must also keep the number of elements, which ONNX's
inference does not look at.

One line a file; exit status 1 if any fails.
"""

import argparse
import glob
import math
import os
import sys

import onnx
from onnx import checker, helper, shape_inference

STANDARD = ("", "ai.onnx")


def conv(node, attrs, extra):
    # A fused addend (fourth input) and an activation leave the shape alone.
    keep = {k: v for k, v in attrs.items() if not k.startswith("activation")}
    return helper.make_node("Conv", list(node.input)[:3], node.output, **keep)


def matmul(node, attrs, extra):
    if attrs.keys() - {"transA", "transB", "alpha"}:
        return None
    a = "...km" if attrs.get("transA") else "...mk"
    b = "...nk" if attrs.get("transB") else "...kn"
    return helper.make_node("Einsum", node.input, node.output, equation=f"{a},{b}->...mn")


def pool(node, attrs, extra):
    return helper.make_node("GlobalAveragePool", node.input, node.output)


def reorder_input(node, attrs, extra):
    # Blocked values are declared with the plain shape.
    return None if attrs else helper.make_node("Identity", node.input, node.output)


def reorder_output(node, attrs, extra):
    if attrs.keys() != {"channels"}:
        return None
    names = [f"{node.output[0]}/{part}" for part in ("start", "end", "axis")]
    for name, value in zip(names, (0, attrs["channels"], 1)):
        extra.append(helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value]))
    return helper.make_node("Slice", [node.input[0], *names], node.output)


STAND_INS = {
    ("com.microsoft", "FusedMatMul"): matmul,
    ("com.microsoft", "FusedConv"): conv,
    ("com.microsoft.nchwc", "Conv"): conv,
    ("com.microsoft.nchwc", "GlobalAveragePool"): pool,
    ("com.microsoft.nchwc", "ReorderInput"): reorder_input,
    ("com.microsoft.nchwc", "ReorderOutput"): reorder_output,
}


def standard(model):
    """Replaces the runtime's own operators; returns how many there were."""
    nodes, extra, replaced = [], [], 0
    for node in model.graph.node:
        if node.domain not in STANDARD:
            attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            make = STAND_INS.get((node.domain, node.op_type))
            stand_in = make and make(node, attrs, extra)
            if stand_in is None:
                raise ValueError(f"node {node.name}: no rule for the shape of {node.domain}."
                                 f"{node.op_type} with attributes {sorted(attrs)}")
            stand_in.name = node.name
            node, replaced = stand_in, replaced + 1
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(extra)
    return replaced


def check_reshapes(graph):
    sizes = {t.name: math.prod(t.dims) for t in graph.initializer}
    for v in [*graph.input, *graph.value_info, *graph.output]:
        dims = v.type.tensor_type.shape.dim
        if all(d.HasField("dim_value") for d in dims):
            sizes[v.name] = math.prod(d.dim_value for d in dims)
    for node in graph.node:
        if node.op_type == "Reshape":
            before, after = sizes.get(node.input[0]), sizes.get(node.output[0])
            if None not in (before, after) and before != after:
                raise ValueError(f"node {node.name}: reshapes {before} elements into {after}")


def check(path):
    checker.check_model(path, full_check=True)
    model = onnx.load(path)
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    replaced = standard(model)
    # Bare inference, not the checker: nothing here is to be run.
    inferred = shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True)
    known = {v.name for v in inferred.graph.value_info if v.type.tensor_type.HasField("shape")}
    known |= {v.name for v in inferred.graph.output}
    for node in inferred.graph.node:
        for name in node.output:
            if name and name not in known:
                raise ValueError(f"node {node.name} ({node.op_type}): no shape for {name!r}")
    check_reshapes(inferred.graph)
    return (f"IR {model.ir_version}, {opsets}, {len(model.graph.node)} nodes, "
            f"{replaced} of them the runtime's own")


def expand(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = sorted(glob.glob(os.path.join(path, "**", "*.onnx"), recursive=True))
        if not found:
            sys.exit(f"{path}: no .onnx file below this folder")
        yield from found


def main():
    p = argparse.ArgumentParser(description="Check ONNX files.")
    p.add_argument("files", nargs="+", metavar="FILE")
    failed = 0
    for path in expand(p.parse_args().files):
        try:
            print(f"{path}: ok ({check(path)})")
        except Exception as e:  # the checker raises a dozen unrelated types
            failed += 1
            reason = " ".join(str(e).split()) or type(e).__name__
            print(f"{path}: FAILED: {reason[:500]}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
