package primitives

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/half"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// halfTolerance of results that are, or are made of, float16 numbers, relative
// to the largest element: four roundings.
const halfTolerance = 4 * 0x1p-11

// inHalf returns a case with as many of the first inputs in float16 as the
// operator takes, rounded; ok is false if it takes none.
func inHalf(t *testing.T, c testCase) (s solved, ok bool) {
	t.Helper()
	for n := len(c.in); n > 0; n-- {
		var types []ir.Type
		for i, x := range c.in {
			types = append(types, ir.Type{DType: ir.Float32, Shape: x.Shape})
			if i < n {
				types[i].DType = ir.Float16
			}
		}
		if _, err := c.op.Infer(types); err != nil {
			continue
		}
		s = solved{testCase: testCase{c.op, slices.Clone(c.in)}, halves: n}
		for i, x := range c.in[:n] {
			s.in[i] = reference.Zeros(x.Shape)
			for j, v := range x.Data {
				s.in[i].Data[j] = half.Round(v)
			}
		}
		want, err := reference.Apply(s.op, s.in...)
		if err != nil {
			t.Fatal(err)
		}
		s.want = want
		return s, true
	}
	return s, false
}

// TestHalf runs every operator that takes float16, in every plain form, and on a
// device in every form.
func TestHalf(t *testing.T) {
	ortest.Open(t)
	const most = 40 // cases of a form
	kinds := 0
	for _, kind := range slices.Sorted(maps.Keys(allCases())) {
		var cases []solved
		all := allCases()[kind]
		for i := 0; i < len(all); i += 1 + len(all)/most {
			if c, ok := inHalf(t, all[i].testCase); ok {
				cases = append(cases, c)
			}
		}
		if cases == nil {
			continue
		}
		kinds++
		forms := lower.OwnForms(lower.CUDA, kind)
		if ortest.Provider() == lower.CUDA {
			forms = lower.FormsFor(lower.CUDA, kind)
		}
		for _, form := range forms {
			t.Run(kind+"/cuda_"+form, func(t *testing.T) {
				t.Parallel()
				o := lower.Options{Provider: lower.CUDA, Forms: map[string]string{kind: form}}
				if lower.NeedsKernels(lower.CUDA, form) {
					if o.Kernels = ortest.Kernels() != nil; !o.Kernels {
						t.Skip("there is no kernel library: make kernels-cuda builds it")
					}
				}
				kept := applicable(t, decided(cases, o), o)
				worst := compare(t, t.Name(), kept, atEdge, o)
				t.Logf("%-45s %3d cases, largest distance %.1g", t.Name(), len(kept), worst)
			})
		}
		for _, form := range lower.Forms(kind) {
			if ortest.Provider() == lower.CUDA {
				break // the CPU's
			}
			if strings.HasPrefix(form, "blocked") || form == "kernel" {
				continue // float32 only
			}
			t.Run(kind+"/"+form, func(t *testing.T) {
				t.Parallel()
				o := lower.Options{Forms: map[string]string{kind: form}}
				kept := applicable(t, cases, o)
				worst := compare(t, t.Name(), kept, atEdge, o)
				t.Logf("%-45s %3d cases, largest distance %.1g", t.Name(), len(kept), worst)
			})
		}
	}
	if kinds < 40 {
		t.Errorf("only %d kinds of operators take float16", kinds)
	}
}
