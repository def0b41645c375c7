package ir

import "testing"

// TestPeakBytes: of a chain two values are there at a time, of a fork three.
func TestPeakBytes(t *testing.T) {
	const n, size = 100, 400
	relu := Unary{F: Relu}
	for name, c := range map[string]struct {
		build func(g *Graph, x *Value) *Value
		want  int64
	}{
		// The input and the output are there all the time.
		"one node": {func(g *Graph, x *Value) *Value { return g.One("", relu, x) }, 2 * size},
		"chain": {func(g *Graph, x *Value) *Value {
			for range 5 {
				x = g.One("", relu, x)
			}
			return x
		}, 4 * size},
		"fork": {func(g *Graph, x *Value) *Value {
			a := g.One("", relu, x)
			b := g.One("", relu, a)
			for range 3 {
				b = g.One("", relu, b)
			}
			return g.One("", Binary{F: Add}, a, b)
		}, 5 * size},
		"views": {func(g *Graph, x *Value) *Value {
			a := g.One("", relu, x)
			v := g.One("", ReshapeTo(Shape{10, 10}), a)
			return g.One("", relu, v)
		}, 3 * size},
		"unread": {func(g *Graph, x *Value) *Value {
			g.One("", relu, x)
			g.One("", relu, x)
			return g.One("", relu, x)
		}, 3 * size},
		"half": {func(g *Graph, x *Value) *Value {
			h := g.One("", Cast{To: Float16}, x)
			h = g.One("", relu, h)
			return g.One("", Cast{To: Float32}, h)
		}, 3 * size},
	} {
		g := New(name)
		x := g.Input("x", F32(n))
		g.Output("y", c.build(g, x))
		if got := g.PeakBytes(); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}
