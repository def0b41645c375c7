package primitives

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
)

// tolerance of float32 results, relative to the largest element of the
// reference tensor.
const tolerance = 2e-5

// perGraph is how many cases share a graph: opening a session costs more than
// running a small operator.
const perGraph = 48

// allCases and their float64 results are computed once.
var allCases = sync.OnceValue(func() map[string][]solved {
	byKind := map[string][]solved{}
	for _, c := range append(otherCases(), convCases()...) {
		out, err := reference.Apply(c.op, c.in...)
		if err != nil {
			panic(fmt.Sprintf("%v: %v", c, err))
		}
		byKind[c.op.Kind()] = append(byKind[c.op.Kind()], solved{c, out})
	}
	return byKind
})

type solved struct {
	testCase
	want []reference.Tensor
}

// append adds the case to a graph, with names that start with prefix.
func (c testCase) append(g *ir.Graph, prefix string) error {
	in := make([]*ir.Value, len(c.in))
	for i, t := range c.in {
		in[i] = g.Input(fmt.Sprintf("%s.in%d", prefix, i), ir.F32(t.Shape...))
	}
	out, err := g.TryApply(prefix, c.op, in...)
	if err != nil {
		return err
	}
	for i, v := range out {
		g.Output(fmt.Sprintf("%s.out%d", prefix, i), v)
	}
	return nil
}

func graphOf(t *testing.T, name string, cases []solved) (*ir.Graph, map[string]reference.Tensor) {
	t.Helper()
	g, inputs := ir.New(name), map[string]reference.Tensor{}
	for i, c := range cases {
		prefix := fmt.Sprintf("c%d", i)
		if err := c.append(g, prefix); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		for j, x := range c.in {
			inputs[fmt.Sprintf("%s.in%d", prefix, j)] = x
		}
	}
	return g, inputs
}

// applicable keeps the cases to which a form applies.
func applicable(t *testing.T, cases []solved, o lower.Options) []solved {
	t.Helper()
	var kept []solved
	for _, c := range cases {
		g, _ := graphOf(t, "one", []solved{c})
		switch _, err := lower.Lower(g, o); {
		case err == nil:
			kept = append(kept, c)
		case !errors.Is(err, lower.ErrForm):
			t.Errorf("%v: %v", c, err)
		}
	}
	return kept
}

// compare runs cases, many to a graph, and returns the largest distance.
func compare(t *testing.T, name string, cases []solved, o lower.Options) (worst float64) {
	t.Helper()
	for start := 0; start < len(cases); start += perGraph {
		part := cases[start:min(start+perGraph, len(cases))]
		g, inputs := graphOf(t, name, part)
		s := load(t, g, o)
		got, err := s.run(inputs)
		s.close()
		if err != nil {
			t.Errorf("cases %d to %d: %v", start, start+len(part)-1, err)
			continue
		}
		for i, c := range part {
			for j, want := range c.want {
				d := reference.Distance(got[fmt.Sprintf("c%d.out%d", i, j)], want)
				if d > tolerance {
					t.Errorf("%v: output %d is %.2g away from the reference", c, j, d)
				}
				worst = max(worst, d)
			}
		}
	}
	return worst
}

// TestForms runs every operator in every form, and as the cost rule chooses.
func TestForms(t *testing.T) {
	openLibrary(t)
	for kind, cases := range allCases() {
		for _, form := range append([]string{""}, lower.Forms(kind)...) {
			name, o := kind+"/"+form, lower.Options{Provider: "cpu"}
			if form == "" {
				name = kind + "/chosen"
			} else {
				o.Forms = map[string]string{kind: form}
			}
			t.Run(name, func(t *testing.T) {
				kept := applicable(t, cases, o)
				// A form that serves hardly any shape is not tested by these
				// cases, whatever the outcome.
				if len(kept) < min(3, len(cases)) || form == "" && len(kept) < len(cases) {
					t.Fatalf("applies to %d of %d cases", len(kept), len(cases))
				}
				worst := compare(t, name, kept, o)
				t.Logf("%d of %d cases, largest distance %.1g", len(kept), len(cases), worst)
			})
		}
	}
}
