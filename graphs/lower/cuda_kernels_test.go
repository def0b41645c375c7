package lower

import (
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
)

// block is a residual block with its gradient, on maps of 8×8 pixels; half puts
// maps and weights into float16.
func block(half bool) *ir.Graph {
	d := ir.Float32
	if half {
		d = ir.Float16
	}
	typ := func(s ...int) ir.Type { return ir.Type{DType: d, Shape: s} }
	g := ir.New("block")
	x, w, dz := g.Input("x", typ(4, 16, 8, 8)), g.Input("w", typ(16, 16, 3, 3)), g.Input("dz", typ(4, 16, 8, 8))
	gamma, beta := g.Input("gamma", ir.F32(16)), g.Input("beta", ir.F32(16))
	conv := ir.Window(1, 1)
	u := g.One("u", ir.Conv{ConvAttr: conv}, x, w)
	n := g.Apply("n", ir.BatchNormTrain{Eps: 1e-5}, u, gamma, beta)
	z := g.One("z", ir.Unary{F: ir.Relu}, g.One("sum", ir.Binary{F: ir.Add}, n[0], x))
	d0 := g.One("d0", ir.ReluGrad{}, g.One("dsum", ir.Binary{F: ir.Add}, dz, x), z)
	dn := g.Apply("dn", ir.BatchNormGrad{Eps: 1e-5}, d0, u, gamma, n[1], n[2])
	dx := g.One("dx", ir.ConvGradInput{ConvAttr: conv, Input: [2]int{8, 8}}, dn[0], w)
	g.Output("dw", g.One("dw", ir.ConvGradWeight{ConvAttr: conv, Kernel: [2]int{3, 3}}, dn[0], x))
	g.Output("dgamma", dn[1])
	g.Output("out", g.One("out", ir.Binary{F: ir.Add}, dx, d0))
	g.Output("z", z)
	return g
}

// TestChannelsLast: a residual block and its gradient are the kernel library's
// operators and one sum; every input is converted once, the two maps that leave
// it too, and nothing in between.
func TestChannelsLast(t *testing.T) {
	for _, half := range []bool{false, true} {
		m, err := Lower(block(half), Options{Provider: CUDA, Kernels: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range m.Graph.Node {
			got = append(got, n.GetOpType())
			for _, a := range n.GetAttribute() {
				if a.GetName() == "block" || a.GetName() == "threads" {
					t.Errorf("%s has the CPU's attribute %s", n.GetOpType(), a.GetName())
				}
			}
			if n.GetOpType() == "NormGrad" && (len(n.GetInput()) != 7 || len(n.GetOutput()) != 4) {
				t.Errorf("NormGrad has %d inputs and %d outputs: it should do the sum, the mask and write what others read", len(n.GetInput()), len(n.GetOutput()))
			}
		}
		slices.Sort(got)
		want := []string{"Add", "ConvForward", "ConvGradInput", "ConvGradWeight", "FromChannelsLast", "FromChannelsLast", "Norm", "NormGrad", "Statistics",
			"ToChannelsLast", "ToChannelsLast", "ToChannelsLast"}
		if !slices.Equal(got, want) {
			t.Errorf("half %v: the nodes are %v, want %v", half, got, want)
		}
	}
}

// TestKernelsOfCUDAAreItsOwn: neither provider's lowering takes the layout of the
// other's library.
func TestKernelsOfCUDAAreItsOwn(t *testing.T) {
	if _, err := Lower(block(false), Options{Provider: CUDA, Kernels: true, Block: 16}); err == nil {
		t.Error("channel blocks are accepted for cuda")
	}
	m, err := Lower(block(false), Options{Provider: CUDA})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Node {
		if n.GetDomain() == KernelDomain {
			t.Errorf("%s of the kernel library is there without it", n.GetOpType())
		}
	}
}

// TestUnequalPadding: cuDNN pads both sides alike, so what needs other padding
// keeps its plain form, unless the padding after the map does not matter.
func TestUnequalPadding(t *testing.T) {
	for _, c := range []struct {
		stride int
		pad    [4]int
		kernel bool
	}{
		{1, [4]int{1, 1, 1, 1}, true}, {1, [4]int{0, 0, 1, 1}, false}, {1, [4]int{1, 1, 0, 0}, false},
		{2, [4]int{1, 1, 0, 0}, true}, {2, [4]int{0, 0, 1, 1}, false}, {2, [4]int{1, 1, 1, 1}, true},
	} {
		g := ir.New("conv")
		x, w := g.Input("x", ir.F32(1, 8, 8, 8)), g.Input("w", ir.F32(8, 8, 3, 3))
		g.Output("y", g.One("y", ir.Conv{ConvAttr: ir.ConvAttr{Stride: [2]int{c.stride, c.stride}, Dilation: [2]int{1, 1}, Pad: c.pad, Groups: 1}}, x, w))
		m, err := Lower(g, Options{Provider: CUDA, Kernels: true})
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, n := range m.Graph.Node {
			has = has || n.GetOpType() == "ConvForward"
		}
		if has != c.kernel {
			t.Errorf("stride %d, padding %v: by the kernel: %v, want %v", c.stride, c.pad, has, c.kernel)
		}
	}
}
