// Package distillation compares the training step's distillation loss with
// PyTorch's.
package distillation
