// Package primitives holds tests only: it runs every operator of package ir,
// in every form that package lower knows, on the real ONNX Runtime and
// compares it with the float64 interpreter of package reference, and whole
// networks with their gradients too.
//
// It lies here and not beside the lowering because graphs/ never imports ONNX
// Runtime.
package primitives
