#!/usr/bin/env bash
# Installs the pinned npm packages of the deployment checks beside this script.
# Install scripts are not run: onnxruntime-node carries its CPU library, and no
# browser is downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v npm >/dev/null || { echo 'setup: npm is not installed: install Node.js 20 or newer with npm' >&2; exit 1; }
npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
