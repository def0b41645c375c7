package optimizers

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

const file = "../../../testdata/golden/optimizers.safetensors"

// The largest difference after any number of steps, relative to each tensor's
// largest element. The formulas are exact but for constants, which graphs hold
// in float32; ONNX Runtime computes in float32.
const (
	formulaTolerance = 1e-7
	runtimeTolerance = 1e-5
)

const steps = 20

// A golden is one case of the script.
type goldenCase struct {
	Rule     string             `json:"rule"`
	Exclude  bool               `json:"exclude"`
	Gradient []string           `json:"gradient"`
	Options  map[string]string  `json:"options"`
	Hyper    map[string]float64 `json:"hyper"`
}

type tensor struct {
	Name  string         `json:"name"`
	Shape ir.Shape       `json:"shape"`
	Kind  optimizer.Kind `json:"kind"`
}

func open(t *testing.T) (g *golden.Golden, tensors []tensor, cases map[string]goldenCase) {
	t.Helper()
	g, err := golden.Open(file, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(g.Meta("tensors")), &tensors); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(g.Meta("cases")), &cases); err != nil {
		t.Fatal(err)
	}
	return g, tensors, cases
}

// draw is an element of a stream, in [-1, 1).
func draw(name string, i int) float64 { return golden.NewStream(name).Draw(i) }

func size(tensors []tensor) int {
	n := 0
	for _, x := range tensors {
		n += x.Shape.Size()
	}
	return n
}

// initial fills the parameters; gradient computes their gradient at step at,
// from 1.
func initial(tensors []tensor) []float64 {
	var p []float64
	for _, x := range tensors {
		for i := range x.Shape.Size() {
			p = append(p, float64(float32(draw("optimizer."+x.Name, i)*0.5)))
		}
	}
	return p
}

func gradient(tensors []tensor, at int, p []float64) []float64 {
	var g []float64
	s := 0.2 + 0.8*float64(at%5)/4
	for _, x := range tensors {
		for i := range x.Shape.Size() {
			g = append(g, draw(fmt.Sprintf("optimizer.%d.%s", at, x.Name), i)*s+0.3*p[len(g)]-
				0.1*draw("optimizer."+x.Name+".goal", i))
		}
	}
	return g
}

// update builds the graph of one update.
func (c goldenCase) update(t testing.TB, tensors []tensor) (g *ir.Graph, slots []optimizer.Slot) {
	t.Helper()
	rule, ok := optimizer.Lookup(c.Rule)
	if !ok {
		t.Fatalf("no rule %q", c.Rule)
	}
	options, err := rule.Resolve(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	transforms, err := optimizer.OrderTransforms(c.Gradient)
	if err != nil {
		t.Fatal(err)
	}
	n := size(tensors)
	g = ir.New(c.Rule)
	s := &optimizer.State{
		G: g, Params: g.Input("params", ir.F32(n)), Grads: g.Input("grads", ir.F32(n)),
		Slots: map[string]*ir.Value{}, Hyper: map[string]*ir.Value{}, Options: options,
	}
	offset := 0
	for _, x := range tensors {
		s.Segments = append(s.Segments, optimizer.Segment{
			Name: x.Name, Shape: x.Shape, Offset: offset, Size: x.Shape.Size(), Kind: x.Kind,
			Decay: !c.Exclude || x.Kind == optimizer.Weight})
		offset += x.Shape.Size()
	}
	slots = rule.SlotsFor(options)
	for _, slot := range slots {
		s.Slots[slot.Name] = g.Input(slot.Name, ir.F32(n))
	}
	hyper := rule.HyperFor(options)
	for _, tr := range transforms {
		hyper = append(hyper, tr.Hyper...)
	}
	fed := map[string]bool{}
	for _, h := range hyper {
		s.Hyper[h.Name] = g.Input(h.Name, ir.F32())
		if _, ok := c.Hyper[h.Name]; !ok && h.Name != optimizer.Step {
			t.Fatalf("the golden does not say %s", h.Name)
		}
		fed[h.Name] = true
	}
	for name := range c.Hyper {
		if !fed[name] {
			t.Fatalf("%s is not fed with %s", c.Rule, name)
		}
	}
	for _, tr := range transforms {
		s.Grads = tr.Apply(s)
	}
	p, next := rule.Update(s)
	g.Output("params_out", p)
	for _, slot := range slots {
		g.Output(slot.Name+"_out", next[slot.Name])
	}
	g.Prune()
	return g, slots
}

// trajectory takes 20 steps by run and returns the parameters after each. run
// rounds its inputs as it likes.
func (c goldenCase) trajectory(t *testing.T, tensors []tensor, g *ir.Graph, slots []optimizer.Slot,
	run func(map[string]reference.Tensor) (map[string]reference.Tensor, error)) [][]float64 {
	t.Helper()
	n := size(tensors)
	in := map[string]reference.Tensor{"params": {Shape: ir.Shape{n}, Data: initial(tensors)}}
	for _, slot := range slots {
		x := reference.Zeros(ir.Shape{n})
		for i := range x.Data {
			x.Data[i] = float64(slot.Init)
		}
		in[slot.Name] = x
	}
	var out [][]float64
	for at := 1; at <= steps; at++ {
		in["grads"] = reference.Tensor{Shape: ir.Shape{n}, Data: gradient(tensors, at, in["params"].Data)}
		for _, v := range g.Inputs {
			if len(v.Shape) == 0 {
				in[v.Name] = reference.Scalar(c.Hyper[v.Name])
			}
		}
		in[optimizer.LR] = reference.Scalar(c.Hyper[optimizer.LR] * (1 - 0.5*float64(at-1)/steps))
		if _, ok := in[optimizer.Step]; ok {
			in[optimizer.Step] = reference.Scalar(float64(at))
		}
		next, err := run(in)
		if err != nil {
			t.Fatal(err)
		}
		in["params"] = next["params_out"]
		out = append(out, next["params_out"].Data)
		for _, slot := range slots {
			in[slot.Name] = next[slot.Name+"_out"]
		}
	}
	return out
}

// compare checks tensor by tensor and returns the worst difference.
func compare(t *testing.T, tensors []tensor, what string, got, want []float64, tolerance float64) float64 {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d parameters, the golden has %d", what, len(got), len(want))
	}
	worst, offset := 0.0, 0
	for _, x := range tensors {
		var diff, most float64
		for i := offset; i < offset+x.Shape.Size(); i++ {
			d := math.Abs(got[i] - want[i])
			if math.IsNaN(d) {
				d = math.Inf(1)
			}
			diff, most = max(diff, d), max(most, math.Abs(want[i]))
		}
		if diff > tolerance*most {
			t.Errorf("%s: %s is off by %.2g of its largest element, at most %g allowed", what, x.Name, diff/most, tolerance)
		}
		worst = max(worst, diff/most)
		offset += x.Shape.Size()
	}
	return worst
}

// TestTrajectories compares 20 steps of every case with the golden.
func TestTrajectories(t *testing.T) {
	ortest.Open(t)
	g, tensors, cases := open(t)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			c := cases[name]
			graph, slots := c.update(t, tensors)
			check := func(what string, run func(map[string]reference.Tensor) (map[string]reference.Tensor, error), tolerance float64) (worst float64) {
				path := c.trajectory(t, tensors, graph, slots, run)
				for _, at := range []int{1, steps} {
					want, err := g.Values(name + "@" + strconv.Itoa(at))
					if err != nil {
						t.Fatal(err)
					}
					worst = max(worst, compare(t, tensors, fmt.Sprintf("%s, step %d", what, at), path[at-1], want, tolerance))
				}
				return worst
			}
			exact := check("formula", func(in map[string]reference.Tensor) (map[string]reference.Tensor, error) {
				return reference.Run(graph, in)
			}, formulaTolerance)
			s, nodes := session(t, graph)
			rounded := check("ONNX Runtime", s, runtimeTolerance)
			t.Logf("off by %.1e in float64, %.1e on ONNX Runtime; %d nodes", exact, rounded, nodes)
		})
	}
}

// TestEveryRuleHasAGolden: no rule or transform is left out.
func TestEveryRuleHasAGolden(t *testing.T) {
	_, _, cases := open(t)
	rules, transforms := map[string]bool{}, map[string]bool{}
	values := map[string]bool{}
	for _, c := range cases {
		rules[c.Rule] = true
		for _, name := range c.Gradient {
			transforms[name] = true
		}
		rule, _ := optimizer.Lookup(c.Rule)
		options, err := rule.Resolve(c.Options)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range options {
			values[c.Rule+" "+k+" "+v] = true
		}
	}
	for _, name := range optimizer.Names() {
		if !rules[name] {
			t.Errorf("rule %s has no golden", name)
		}
		rule, _ := optimizer.Lookup(name)
		for _, o := range rule.Options {
			for _, v := range o.Values {
				if !values[name+" "+o.Name+" "+v] {
					t.Errorf("rule %s has no golden with %s %s", name, o.Name, v)
				}
			}
		}
	}
	for _, name := range optimizer.Transforms() {
		if !transforms[name] {
			t.Errorf("transform %s has no golden", name)
		}
	}
}

// session opens the graph on ONNX Runtime and counts its nodes.
func session(t *testing.T, g *ir.Graph) (run func(map[string]reference.Tensor) (map[string]reference.Tensor, error), nodes int) {
	t.Helper()
	m, err := lower.Lower(g, lower.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSessionFromBytes(g.Name, text, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return func(inputs map[string]reference.Tensor) (map[string]reference.Tensor, error) {
		in, out, result := map[string]*runtime.Tensor{}, map[string]*runtime.Tensor{}, map[string]reference.Tensor{}
		for name, x := range inputs {
			if len(x.Shape) == 0 {
				in[name], err = runtime.NewScalar(float32(x.Data[0]))
			} else {
				in[name], err = runtime.WrapTensor(x.Float32(), int64(x.Shape[0]))
			}
			if err != nil {
				return nil, err
			}
			defer in[name].Close()
		}
		for _, o := range g.Outputs {
			if out[o.Name], err = runtime.NewTensor(int64(o.Value.Shape[0])); err != nil {
				return nil, err
			}
			defer out[o.Name].Close()
		}
		if err := s.Run(in, out); err != nil {
			return nil, err
		}
		for name, y := range out {
			result[name] = reference.FromFloat32(ir.Shape{len(y.Floats())}, y.Floats())
		}
		return result, nil
	}, len(m.GetGraph().Node)
}
