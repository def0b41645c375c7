// Package measure holds what the tools that time things share: medians, the
// memory of a process, tables of results.
package measure

import "slices"

// Median returns the middle of the values, or the mean of the two in the
// middle; 0 for none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(n-1)/2] + s[n/2]) / 2
}
