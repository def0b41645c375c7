package primitives

import (
	"errors"
	"fmt"
	"maps"
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// tolerance of float32 results, relative to the largest element of the
// reference tensor.
const tolerance = 1e-5

// deviceTolerance is that of a GPU, whose sums are longer and in any order.
const deviceTolerance = 1e-4

// perGraph is how many cases share a graph: opening a session costs more than
// running a small operator.
const perGraph = 48

// allCases and their float64 results are computed once, by operator kind.
var allCases = sync.OnceValue(func() map[string][]solved {
	var work errgroup.Group
	work.SetLimit(goruntime.GOMAXPROCS(0))
	cases := slices.Concat(otherCases(), activationCases(), convCases(), groupCases(), arrangeCases())
	results := make([]solved, len(cases))
	for i, c := range cases {
		work.Go(func() error {
			out, err := reference.Apply(c.op, c.in...)
			results[i] = solved{testCase: c, want: out}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		panic(err)
	}
	byKind := map[string][]solved{}
	for _, c := range results {
		byKind[c.op.Kind()] = append(byKind[c.op.Kind()], c)
	}
	return byKind
})

type solved struct {
	testCase
	want []reference.Tensor
	// halves is how many of the first inputs are float16: see TestHalf.
	halves int
}

func (c solved) tolerance() float64 {
	if c.halves > 0 {
		return halfTolerance
	}
	if ortest.Provider() == lower.CUDA {
		return deviceTolerance
	}
	return tolerance
}

// place says where in a graph the operators stand.
type place bool

const (
	// atEdge: they read graph inputs and write graph outputs, whose buffers
	// the runtime never shares.
	atEdge place = false
	// inside: they read and write intermediate values, which the runtime's
	// memory planner lets share buffers.
	inside place = true
)

// surround begins the names of what graphOf puts around a case.
const surround = "around"

// graphOf puts the cases side by side into a graph, with inputs "cI.inJ" and
// outputs "cI.outJ", and returns the numbers to feed.
func graphOf(t *testing.T, name string, cases []solved, where place) (*ir.Graph, map[string]reference.Tensor) {
	t.Helper()
	// One that is not a constant, so that no division by it goes away.
	g, inputs := ir.New(name), map[string]reference.Tensor{"one": reference.Scalar(1)}
	one := g.Input("one", ir.F32())
	step := func(v *ir.Value) *ir.Value {
		if where == inside {
			return g.One(surround, ir.Binary{F: ir.Div}, v, one)
		}
		return v
	}
	for i, c := range cases {
		in := make([]*ir.Value, len(c.in))
		for j, x := range c.in {
			v := g.Input(fmt.Sprintf("c%d.in%d", i, j), ir.F32(x.Shape...))
			inputs[v.Name], in[j] = x, step(v)
			if j < c.halves {
				in[j] = g.One(surround, ir.Cast{To: ir.Float16}, in[j])
			}
		}
		out, err := g.TryApply(fmt.Sprintf("c%d", i), c.op, in...)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		for j, v := range out {
			if v.DType == ir.Float16 {
				v = g.One(surround, ir.Cast{To: ir.Float32}, v)
			}
			g.Output(fmt.Sprintf("c%d.out%d", i, j), step(v))
		}
	}
	return g, inputs
}

// applicable keeps the cases to which a form applies.
func applicable(t *testing.T, cases []solved, o lower.Options) []solved {
	t.Helper()
	var kept []solved
	for _, c := range cases {
		g, _ := graphOf(t, "one", []solved{c}, atEdge)
		switch m, err := lower.Lower(g, o); {
		case err == nil:
			checkTidy(t, m)
			kept = append(kept, c)
		case !errors.Is(err, lower.ErrForm):
			t.Errorf("%v: %v", c, err)
		}
	}
	return kept
}

// compare runs cases, many to a graph, and returns the largest distance.
func compare(t *testing.T, name string, cases []solved, where place, o lower.Options) (worst float64) {
	t.Helper()
	wrong := 0
	for start := 0; start < len(cases); start += perGraph {
		part := cases[start:min(start+perGraph, len(cases))]
		g, inputs := graphOf(t, name, part, where)
		s := load(t, g, o)
		// A run over NaN comes first: it must leave nothing behind.
		_, err := s.run(poisoned(inputs))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.run(inputs)
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range part {
			for j, want := range c.want {
				d := reference.Distance(got[fmt.Sprintf("c%d.out%d", i, j)], want)
				if d > c.tolerance() {
					if wrong++; wrong <= 5 {
						t.Errorf("%v: output %d is %.2g away from the reference", c, j, d)
					}
				}
				worst = max(worst, d)
			}
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more", wrong-5)
	}
	return worst
}

func poisoned(inputs map[string]reference.Tensor) map[string]reference.Tensor {
	p := map[string]reference.Tensor{}
	for name, x := range inputs {
		p[name] = reference.Zeros(x.Shape)
		for i := range x.Data {
			p[name].Data[i] = math.NaN()
		}
	}
	return p
}

// variants are the ways a graph is lowered for here: plain, for CUDA (whose
// operators the CPU provider runs as well), in the blocked layout where the
// machine has it, and with the kernel library where it is built.
func variants() map[string]lower.Options {
	if ortest.Provider() == lower.CUDA {
		v := map[string]lower.Options{"cuda": {Provider: lower.CUDA}}
		if ortest.Kernels() != nil {
			v["cuda_kernels"] = lower.Options{Provider: lower.CUDA, Kernels: true}
		}
		return v
	}
	v := map[string]lower.Options{"plain": {Provider: lower.CPU}, "cuda": {Provider: lower.CUDA}}
	if b := runtime.ChannelBlock(); b != 0 {
		v["blocks"] = lower.Options{Provider: "cpu", Block: b}
		if ortest.Kernels() != nil {
			v["kernels"] = kernels()
		}
	}
	return v
}

// decided leaves out maps with equal numbers where CUDA's max-pooling gradient runs
// on the CPU provider: of equal numbers CUDA's MaxPool finds the first of a column, the CPU's
// that of a row, and the gradient's form counts on the former.
func decided(cases []solved, o lower.Options) []solved {
	if o.Provider != lower.CUDA || ortest.Provider() != lower.CPU || cases[0].op.Kind() != "MaxPoolGrad" {
		return cases
	}
	return slices.DeleteFunc(slices.Clone(cases), func(c solved) bool {
		x := c.in[1].Data
		return len(slices.Compact(slices.Sorted(slices.Values(x)))) < len(x)
	})
}

// kernels lowers for the kernel library, with work divided in two.
func kernels() lower.Options {
	return lower.Options{Provider: "cpu", Block: runtime.ChannelBlock(), Kernels: true, Threads: 2}
}

// TestForms runs every operator in every form, and as the cost rule chooses in
// either layout.
func TestForms(t *testing.T) {
	ortest.Open(t)
	for _, kind := range slices.Sorted(maps.Keys(allCases())) {
		cases := allCases()[kind]
		for layout, o := range variants() {
			if layout == "cuda" && ortest.Provider() == lower.CPU && len(lower.OwnForms(lower.CUDA, kind)) == 0 {
				continue // the plain forms, tested as such
			}
			if o.Kernels && o.Provider == lower.CPU && !slices.Contains(lower.Forms(kind), "kernel") {
				continue
			}
			t.Run(kind+"/chosen_"+layout, func(t *testing.T) {
				t.Parallel()
				cases := decided(cases, o)
				if kept := applicable(t, cases, o); len(kept) < len(cases) {
					t.Fatalf("applies to %d of %d cases", len(kept), len(cases))
				}
				testForm(t, cases, cases, o)
			})
		}
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
				cases := decided(cases, o)
				kept := applicable(t, cases, o)
				least := min(3, len(cases))
				if o.Kernels {
					least = 1 // maps alone
				}
				if len(kept) < least {
					t.Fatalf("applies to %d of %d cases", len(kept), len(cases))
				}
				testForm(t, cases, kept, o)
			})
		}
		for _, form := range lower.Forms(kind) {
			if ortest.Provider() == lower.CUDA {
				break // the CPU's
			}
			t.Run(kind+"/"+form, func(t *testing.T) {
				t.Parallel()
				o := lower.Options{Provider: "cpu", Forms: map[string]string{kind: form}}
				if strings.HasPrefix(form, "blocked") {
					if o.Block = runtime.ChannelBlock(); o.Block == 0 {
						t.Skip("ONNX Runtime has no blocked layout on this machine")
					}
				}
				if form == "kernel" {
					if ortest.Kernels() == nil {
						t.Skip("there is no kernel library: make kernels builds it")
					}
					o = kernels()
					o.Forms = map[string]string{kind: form}
				}
				// A form that serves hardly any shape is not tested by these
				// cases, whatever the outcome.
				kept := applicable(t, cases, o)
				if len(kept) < min(3, len(cases)) {
					t.Fatalf("applies to %d of %d cases", len(kept), len(cases))
				}
				testForm(t, cases, kept, o)
			})
		}
	}
}

func testForm(t *testing.T, cases, kept []solved, o lower.Options) {
	t.Helper()
	some := kept
	if len(kept) > 100 {
		// What placement can break does not depend on the shape.
		some = nil
		for i := 0; i < len(kept); i += 3 {
			some = append(some, kept[i])
		}
	}
	edge, within := compare(t, t.Name(), kept, atEdge, o), compare(t, t.Name(), some, inside, o)
	t.Logf("%-45s %3d of %3d cases, largest distance %.1g at the edge, %.1g inside", t.Name(), len(kept), len(cases), edge, within)
}
