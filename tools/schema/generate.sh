#!/usr/bin/env bash
# Regenerates graphs/onnx/onnx.pb.go from schema/onnx.proto.
# Needs protoc (Debian: protobuf-compiler) and Go.
set -euo pipefail
cd "$(dirname "$0")/../../graphs/onnx"
command -v protoc >/dev/null || { echo "protoc not found: apt-get install protobuf-compiler" >&2; exit 1; }
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
# The plugin's version is the one the module already requires.
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go
PATH=$bin:$PATH protoc -I schema --go_out=. --go_opt=paths=source_relative onnx.proto
