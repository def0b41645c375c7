package optimizer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Transform changes the gradient before the rule sees it.
type Transform struct {
	Name        string
	Description string
	Source      string
	Hyper       []Hyper
	// Apply returns the new gradient, a vector [P], from s.Grads.
	Apply func(s *State) *ir.Value
}

// transforms are in the order in which they are applied, however many are
// asked for: L1 is part of the loss, so what clips, clips it too; the bound on
// the norm of the whole gradient comes last, so that it holds.
var transforms = []*Transform{l1(), agc(), clipValue(), clipNorm()}

// Transforms lists the names of the transforms, in the order in which they are
// applied.
func Transforms() []string {
	var names []string
	for _, t := range transforms {
		names = append(names, t.Name)
	}
	return names
}

// LookupTransform returns a transform; ok is false for an unknown name.
func LookupTransform(name string) (t *Transform, ok bool) {
	i := slices.IndexFunc(transforms, func(t *Transform) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return transforms[i], true
}

// OrderTransforms returns the transforms of the given names, in any order but
// each once, in the order in which they are applied.
func OrderTransforms(names []string) ([]*Transform, error) {
	var out []*Transform
	for _, t := range transforms {
		if slices.Contains(names, t.Name) {
			out = append(out, t)
		}
	}
	for i, name := range names {
		if _, ok := LookupTransform(name); !ok {
			return nil, fmt.Errorf("optimizer: no gradient transform %q; there are %s", name, strings.Join(Transforms(), ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("optimizer: gradient transform %s is given twice", name)
		}
	}
	return out, nil
}
