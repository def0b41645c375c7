package onnx

// The Go code of the schema is committed; regenerate it after a change to
// schema/onnx.proto.

//go:generate ../../tools/schema/generate.sh
