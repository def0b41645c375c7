// Package optimizers compares the update rules of graphs/optimizer with the
// reference implementations: PyTorch's where it has the rule, else the authors'
// code followed line by line in golden_optimizers.py, both in float64. The test
// runs every rule for 20 steps on ONNX Runtime and in the float64 evaluator.
package optimizers
