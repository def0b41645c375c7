#!/usr/bin/env bash
# Makes the environment of from_tensorflow.py in .venv-tensorflow/ (ignored by
# git) and runs it.
#
#   tools/parity/foreign/tensorflow.sh FOLDER [NAME...]
#   go run ./tools/parity/foreign FOLDER
#   VENV=elsewhere tools/parity/foreign/tensorflow.sh FOLDER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${VENV:-$here/../../../.venv-tensorflow}
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check -r "$here/requirements-tensorflow.txt"
exec "$venv/bin/python" "$here/from_tensorflow.py" "$@"
