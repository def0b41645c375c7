package ir

import (
	"slices"
	"strings"
	"testing"
)

// panics runs f and returns what it panicked with, as text.
func panics(t *testing.T, f func()) (msg string) {
	t.Helper()
	defer func() {
		switch r := recover().(type) {
		case nil:
			t.Error("did not panic")
		case string:
			msg = r
		case error:
			msg = r.Error()
		}
	}()
	f()
	return ""
}

func TestNamesAreUnique(t *testing.T) {
	g := New("g")
	x := g.Input("x", F32(2))
	relu := Unary{Relu}
	for i, want := range []string{"x_1", "x_2", "relu", "relu_1", "y", "y_1", "x_1_1"} {
		name := []string{"x", "x", "", "", "y", "y", "x_1"}[i]
		if v := g.One(name, relu, x); v.Name != want || v.Node.Name != want {
			t.Errorf("name %q became %q on node %q, want %q", name, v.Name, v.Node.Name, want)
		}
	}
	out := g.Apply("split", Split{[]Shape{{1}, {1}}}, x)
	if out[0].Name != "split.0" || out[1].Name != "split.1" {
		t.Errorf("outputs are named %q and %q", out[0].Name, out[1].Name)
	}
	if c, d := g.Scalar(1), g.Scalar(1); c.Name == d.Name {
		t.Errorf("two constants are named %q", c.Name)
	}
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if seen[v.Name] {
				t.Errorf("%q is taken twice", v.Name)
			}
			seen[v.Name] = true
		}
	}
}

func TestMistakesPanic(t *testing.T) {
	g := New("g")
	x := g.Input("x", F32(2, 3))
	for want, f := range map[string]func(){
		`input name "x" is taken`:            func() { g.Input("x", F32(1)) },
		"dimensions must be positive":        func() { g.Input("y", F32(2, 0)) },
		`constant "c" has 2 elements`:        func() { g.Const("c", Shape{3}, []float32{1, 2}) },
		`ir: node "bad" (MatMul): inner dim`: func() { g.Apply("bad", MatMul{}, x, x) },
		"exceeds rank 6":                     func() { ReshapeTo(Shape{1, 1, 1, 1, 1, 1, 1}) },
	} {
		if msg := panics(t, f); !strings.Contains(msg, want) {
			t.Errorf("panicked with %q, want %q in it", msg, want)
		}
	}
	if len(g.Nodes) != 0 {
		t.Errorf("%d nodes were left behind", len(g.Nodes))
	}
	if _, err := g.TryApply("bad", MatMul{}, x, x); err == nil || !strings.Contains(err.Error(), `node "bad" (MatMul)`) {
		t.Errorf("error %v does not name the node", err)
	}
}

func TestGraphIsTopological(t *testing.T) {
	g := New("g")
	x := g.Input("x", F32(2))
	y := g.One("y", Binary{Add}, x, g.Scalar(1))
	z := g.One("z", Binary{Mul}, y, y)
	done := map[*Value]bool{x: true}
	for i, n := range g.Nodes {
		if n.ID != i {
			t.Errorf("node %q has ID %d at position %d", n.Name, n.ID, i)
		}
		for _, v := range n.In {
			if !v.IsConst() && !done[v] {
				t.Errorf("node %q reads %q before it is computed", n.Name, v.Name)
			}
		}
		for j, v := range n.Out {
			if v.Node != n || v.Index != j {
				t.Errorf("%q does not point back at its node", v.Name)
			}
			done[v] = true
		}
	}
	uses := g.Uses()
	if !slices.Equal(uses[y], []*Node{z.Node, z.Node}) || len(uses[z]) != 0 || len(uses[x]) != 1 {
		t.Errorf("uses: %v", uses)
	}
}

// TestApplyKeepsItsArguments: a caller may reuse the slice of inputs.
func TestApplyKeepsItsArguments(t *testing.T) {
	g := New("g")
	in := []*Value{g.Input("x", F32(2)), g.Input("y", F32(2))}
	v := g.One("sum", Binary{Add}, in...)
	in[0] = nil
	if v.Node.In[0] == nil {
		t.Error("the node shares the caller's slice")
	}
}

func TestPrune(t *testing.T) {
	g := New("g")
	x := g.Input("x", F32(4))
	relu := Unary{Relu}
	a := g.One("a", relu, x)
	dead := g.One("dead", relu, a)
	g.One("deader", relu, dead)
	parts := g.Apply("split", Split{[]Shape{{1}, {3}}}, a)
	b := g.One("b", relu, parts[1])
	g.Output("out", b)
	g.Prune()
	var names []string
	for i, n := range g.Nodes {
		names = append(names, n.Name)
		if n.ID != i {
			t.Errorf("node %q has ID %d at position %d", n.Name, n.ID, i)
		}
	}
	// A node stays whole while one of its outputs is wanted.
	if !slices.Equal(names, []string{"a", "split.0", "b"}) {
		t.Errorf("kept %v", names)
	}
	if len(g.Inputs) != 1 {
		t.Error("an input went away; inputs are part of a contract")
	}
	// The graph goes on growing after a prune.
	g.Output("more", g.One("c", relu, b))
	before := len(g.Nodes)
	g.Prune()
	if len(g.Nodes) != before || g.Nodes[before-1].ID != before-1 {
		t.Errorf("pruning again left %d of %d nodes", len(g.Nodes), before)
	}

	g = New("pass")
	g.Output("y", g.Input("x", F32(1)))
	g.One("dead", relu, g.Inputs[0])
	if g.Prune(); len(g.Nodes) != 0 {
		t.Error("a node without effect was kept")
	}
}

func TestShape(t *testing.T) {
	for _, tt := range []struct {
		s    Shape
		size int
		text string
	}{{nil, 1, "[]"}, {Shape{7}, 7, "7"}, {Shape{2, 3, 4}, 24, "2×3×4"}} {
		if tt.s.Size() != tt.size || tt.s.String() != tt.text {
			t.Errorf("%#v has %d elements and reads %q", tt.s, tt.s.Size(), tt.s)
		}
	}
	if !(Shape{}).Equal(nil) || (Shape{1}).Equal(nil) || (Shape{2, 3}).Equal(Shape{3, 2}) {
		t.Error("Equal")
	}
	if got := (Type{Uint8, Shape{2}}).String(); got != "uint8 2" {
		t.Errorf("type reads %q", got)
	}
	if got := DType(9).String(); got != "dtype(9)" {
		t.Errorf("unknown type reads %q", got)
	}
}

func TestConstants(t *testing.T) {
	g := New("g")
	c := g.Const("c", Shape{2}, []float32{1, 2})
	if !c.IsConst() || g.Input("x", F32(2)).IsConst() {
		t.Error("IsConst")
	}
	if s := g.Scalar(3); len(s.Shape) != 0 || s.Data[0] != 3 {
		t.Errorf("scalar is %v %v", s.Type, s.Data)
	}
}
