package primitives

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// BenchmarkGroups times the forms of depthwise and grouped convolutions and of
// their gradients; reorderings of the inputs count.
func BenchmarkGroups(b *testing.B) {
	ortest.Open(b)
	for _, c := range []struct {
		name                    string
		batch, channels, groups int
		size, kernel, stride    int
	}{
		{"depthwise3", 32, 64, 64, 32, 3, 1}, {"depthwise5_stride2", 32, 64, 64, 32, 5, 2}, {"groups_of_4", 16, 128, 32, 28, 3, 1}, {"groups_of_64", 16, 256, 4, 16, 3, 1},
	} {
		a := ir.Window(c.stride, c.kernel/2)
		a.Groups = c.groups
		in, kernel := [2]int{c.size, c.size}, [2]int{c.kernel, c.kernel}
		out, err := a.OutSize(in, kernel)
		if err != nil {
			b.Fatal(err)
		}
		r := seeded(1)
		x := r.normal(0, 1, c.batch, c.channels, c.size, c.size)
		w := r.normal(0, 1, c.channels, c.channels/c.groups, c.kernel, c.kernel)
		dy := r.normal(0, 1, c.batch, c.channels, out[0], out[1])
		for _, t := range []testCase{
			{ir.Conv{ConvAttr: a}, []reference.Tensor{x, w}},
			{ir.ConvGradInput{ConvAttr: a, Input: in}, []reference.Tensor{dy, w}},
			{ir.ConvGradWeight{ConvAttr: a, Kernel: kernel}, []reference.Tensor{dy, x}},
		} {
			for _, form := range lower.Forms(t.op.Kind()) {
				o := lower.Options{Forms: map[string]string{t.op.Kind(): form}}
				if strings.HasPrefix(form, "blocked") {
					o.Block = runtime.ChannelBlock()
				}
				g, inputs := ir.New("bench"), map[string]reference.Tensor{}
				var vs []*ir.Value
				for i, x := range t.in {
					v := g.Input(fmt.Sprintf("in%d", i), ir.F32(x.Shape...))
					inputs[v.Name] = x
					vs = append(vs, v)
				}
				g.Output("out", g.One("y", t.op, vs...))
				if _, err := lower.Lower(g, o); errors.Is(err, lower.ErrForm) {
					continue
				}
				b.Run(c.name+"/"+t.op.Kind()+"/"+form, func(b *testing.B) {
					s := load(b, g, o)
					feed, result := map[string]*runtime.Tensor{}, map[string]*runtime.Tensor{}
					for name, x := range inputs {
						if feed[name], err = native(x.Shape, x.Float32()); err != nil {
							b.Fatal(err)
						}
						defer feed[name].Close()
					}
					y := g.Outputs[0].Value
					if result["out"], err = native(y.Shape, make([]float32, y.Shape.Size())); err != nil {
						b.Fatal(err)
					}
					defer result["out"].Close()
					for b.Loop() {
						if err := s.Run(feed, result); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
