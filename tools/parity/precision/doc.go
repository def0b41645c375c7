// Package precision compares a step in mixed precision with PyTorch's automatic
// mixed precision; its tests read what golden_precision.py wrote.
package precision
