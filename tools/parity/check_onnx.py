"""Runs ONNX's own checker over model files, with strict shape inference.

    python check_onnx.py FILE…     a folder stands for every .onnx file below it

One line a file; exit status 1 if any fails.
"""

import argparse
import glob
import os
import sys

import onnx
from onnx import checker, shape_inference


def check(path):
    checker.check_model(path, full_check=True)
    model = onnx.load(path)
    inferred = shape_inference.infer_shapes(
        model, check_type=True, strict_mode=True, data_prop=True)
    known = {v.name for v in inferred.graph.value_info if v.type.tensor_type.HasField("shape")}
    known |= {v.name for v in inferred.graph.output}
    made = [o for n in inferred.graph.node for o in n.output if o]
    opsets = ",".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    return (f"IR {model.ir_version}, {opsets}, {len(model.graph.node)} nodes, "
            f"shapes inferred for {sum(o in known for o in made)} of {len(made)} values")


def expand(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = sorted(glob.glob(os.path.join(path, "**", "*.onnx"), recursive=True))
        if not found:
            raise SystemExit(f"{path}: no .onnx file below this folder")
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
