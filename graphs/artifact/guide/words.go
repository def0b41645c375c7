package guide

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func dims(shape []int) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
	}
	return strings.Join(parts, "×")
}

// options writes switches as " (name value, …)" in order of name.
func options(o map[string]string) string {
	if len(o) == 0 {
		return ""
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(o)) {
		list = append(list, k+" "+o[k])
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// code sets a name in code.
func code(name string) string { return "`" + name + "`" }
