#!/usr/bin/env bash
# Makes the Python environment of the parity and benchmark scripts in .venv/
# (ignored by git; about 5.5 GB, nearly all of it PyTorch's CUDA libraries).
# The product never needs it: only these scripts compare with PyTorch.
#
#   tools/parity/setup.sh            # then: .venv/bin/python tools/parity/…
#   PYTHON=python3.12 tools/parity/setup.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python3}
venv=$root/.venv

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	echo "setup.sh: $("$python" --version) is too old: set PYTHON to Python 3.11 or newer" >&2
	exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
	-r "$root/tools/parity/requirements.txt"

"$venv/bin/python" - <<'PY'
import re, platform
import numpy, onnx, onnxruntime, safetensors, torch

onednn = re.search(r"MKL-DNN (v[\d.]+)", torch.__config__.show())
print(f"python {platform.python_version()}, numpy {numpy.__version__}, "
      f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, "
      f"safetensors {safetensors.__version__}")
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, oneDNN "
      + (onednn.group(1) if onednn and torch.backends.mkldnn.is_available() else "not available"))
PY
