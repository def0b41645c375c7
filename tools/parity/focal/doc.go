// Package focal compares the focal losses with PyTorch's, from committed
// goldens.
package focal
