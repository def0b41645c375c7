"""Asks ONNX Runtime itself where it puts the nodes of models under the CUDA provider.

    placement.sh SITE MODEL.onnx ...

The session is made in full (nodes placed, kernels built, weights copied) but
not run, so that stand-ins for the CUDA libraries do. Prints a line for each
model: how many nodes went where, and which to the CPU.
"""
import os
import re
import subprocess
import sys

CHILD = """
import sys, onnxruntime as o
s = o.SessionOptions()
s.log_severity_level, s.log_verbosity_level = 0, 1
x = o.InferenceSession(sys.argv[1], s, providers=["CUDAExecutionProvider"])
assert "CUDAExecutionProvider" in x.get_providers(), "the CUDA provider did not start"
"""

failed = False
for model in sys.argv[1:]:
    r = subprocess.run([sys.executable, "-c", CHILD, model], capture_output=True, text=True, env=os.environ)
    log = r.stdout + r.stderr
    if r.returncode:
        failed = True
        print(f"{model}: the session fails: {log.strip().splitlines()[-1][:400] if log.strip() else r.returncode}")
        continue
    where = {}
    for provider, n in re.findall(r"All nodes placed on \[(\w+)\]\. Number of nodes: (\d+)", log):
        where[provider] = int(n)
    for provider, n in re.findall(r"Node\(s\) placed on \[(\w+)\]\. Number of nodes: (\d+)", log):
        where[provider] = int(n)
    nodes, block = [], None
    for line in log.splitlines():
        m = re.search(r"placed on \[(\w+)\]", line)
        if m:
            block = m.group(1)
        m = re.search(r"VerifyEachNodeIsAssignedToAnEp\s+(\S+) \((.*)\)\s*$", line)
        if m and block == "CPUExecutionProvider":
            nodes.append(f"{m.group(1)} {m.group(2)}")
    print(f"{model}: {', '.join(f'{n} on {p}' for p, n in sorted(where.items()))}"
          + (f"; on the CPU: {', '.join(sorted(nodes))}" if nodes else ""))
sys.exit(failed)
