// Package nearest finds the valid name that a mistyped one was meant to be,
// so that every "unknown name" error can suggest it.
package nearest

import (
	"fmt"
	"strings"
)

// Name returns the candidate with the smallest edit distance to name
// (insertions, deletions, substitutions and swaps of neighbours, letter case
// and the separators '-', '_' and ' ' ignored) and whether it is close enough
// to be worth suggesting: a third of the longer name's letters may differ, or
// one letter of several. Ties go to the earlier candidate.
func Name(name string, candidates []string) (string, bool) {
	best, bestDistance := "", -1
	a := fold(name)
	for _, c := range candidates {
		d := distance(a, fold(c))
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if bestDistance < 0 {
		return "", false
	}
	longer := max(len(a), len(fold(best)))
	return best, bestDistance <= max(1, longer/3) && bestDistance < longer
}

// Hint returns a clause to append to an "unknown name" message: the nearest
// candidate if one is close, otherwise the list of all candidates. It is
// empty when there are none.
func Hint(name string, candidates []string) string {
	if len(candidates) == 0 {
		return ""
	}
	if best, ok := Name(name, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; valid: " + strings.Join(candidates, ", ")
}

func fold(s string) []rune {
	s = strings.ToLower(s)
	return []rune(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
}

// distance is the optimal string alignment distance. Names are short, so the
// quadratic table is not worth trimming; a hostile long input is cut to keep
// it bounded.
func distance(a, b []rune) int {
	const longest = 200
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
