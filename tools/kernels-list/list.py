"""Writes graphs/kernels/cuda.tsv: the kernels of ONNX Runtime's CUDA provider.

    tools/kernels-list/list.sh

runs it where the CUDA libraries are, or their stand-ins (standin.sh). The list
is the library's own registry, not its documentation. Of each operator there is
a line with the versions of its definition,

    =  domain  operator  version version ...

and one for each kernel,

    +  first  last  slots=type,type slots=type ...

where slots are the inputs (i0, i1, ...; i2+ for the third and all that follow)
and outputs (o0, ...) that share a type, and last is empty for a kernel that
serves its first version alone, as ONNX Runtime takes an open end. A kernel
serves an operator whose definition's version lies in its range.
"""
import sys

import onnxruntime
import onnxruntime.capi.onnxruntime_pybind11_state as state

OPEN = 2**31 - 1
SHORT = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "bool": "bool", "string": "str"}


def short(t):
    """tensor(float) as f32; None for what is no tensor of numbers."""
    if not t.startswith("tensor("):
        return None
    t = t[7:-1]
    if t in SHORT:
        return SHORT[t]
    return t.replace("uint", "u").replace("int", "i")


def slots(schema):
    """The slots of a definition by the name of their type, which may be a type itself."""
    by = {}
    for letter, formals in (("i", schema.inputs), ("o", schema.outputs)):
        for k, f in enumerate(formals):
            many = "+" if "Variadic" in str(f.option) else ""
            by.setdefault(f.typeStr, []).append(f"{letter}{k}{many}")
    return by


def main():
    schemas = {}
    for s in state.get_all_operator_schema():
        schemas.setdefault((s.domain, s.name), []).append(s)
    kernels = {}
    for k in state.get_all_opkernel_def():
        if k.provider == "CUDAExecutionProvider" and k.domain in ("", "com.microsoft"):
            kernels.setdefault((k.domain, k.op_name), []).append(k)
    out = [f"# The CUDA kernels of ONNX Runtime {onnxruntime.__version__}, by tools/kernels-list/list.sh."]
    count = 0
    for (domain, name), ks in sorted(kernels.items()):
        defs = sorted(schemas.get((domain, name), []), key=lambda s: s.since_version)
        if not defs:
            continue
        out.append("\t".join(["=", domain, name, " ".join(str(s.since_version) for s in defs)]))
        lines = {}
        for k in ks:
            first, last = k.version_range
            schema = next((s for s in reversed(defs) if s.since_version <= first), defs[0])
            allowed = {c.type_param_str: list(c.allowed_type_strs) for c in schema.type_constraints}
            parts = []
            for t, where in slots(schema).items():
                types = k.type_constraints.get(t) or allowed.get(t) or [t]
                types = sorted({short(x) for x in types if short(x)})
                parts.append(",".join(where) + "=" + ",".join(types or ["?"]))
            lines.setdefault((first, "" if last == OPEN else last), []).append(parts)
        for (first, last), variants in sorted(lines.items(), key=lambda kv: kv[0][0]):
            for parts in merged(variants):
                out.append("\t".join(["+", str(first), str(last), *parts]))
                count += 1
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")
    print(f"{sys.argv[1]}: {count} lines of {sum(len(k) for k in kernels.values())} kernels of {len(kernels)} operators, "
          f"ONNX Runtime {onnxruntime.__version__}")


def merged(variants):
    """Joins kernels that differ in the types of one group of slots."""
    variants = [dict(p.split("=", 1) for p in parts) for parts in variants]
    again = True
    while again:
        again = False
        for i in range(len(variants)):
            for j in range(len(variants) - 1, i, -1):
                a, b = variants[i], variants[j]
                differ = [s for s in a if a[s] != b[s]]
                if len(differ) <= 1:
                    for s in differ:
                        a[s] = ",".join(sorted(set(a[s].split(",")) | set(b[s].split(","))))
                    del variants[j]
                    again = True
    return [[f"{s}={t}" for s, t in v.items()] for v in variants]


main()
