package lower

import (
	"slices"
	"strings"
	"sync"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # Forms for the CUDA provider
//
// An operator of the CPU lowering whose plain forms are right for CUDA as well
// is taken over as it is: one kernel for one node. The kinds below have a list
// of their own, made of new forms and of borrowed ones under a rank of CUDA's:
//
//   - No BatchNormalization in training mode, which its kernel refuses from
//     opset 14 on; no FusedConv without an activation, which it refuses too.
//   - Sums over images and pixels take two steps: over [0,2,3] at once they
//     miss the fast kernels.
//   - ConvTranspose (cuDNN's backward-data) is the input gradient of every
//     convolution. The provider leaves one with unequal padding to the CPU, so
//     that is cut out of an equally padded one.
//   - No constant as large as a map: it would stay on the device for good.
//
//   - With the kernel library maps have their channels last (channelslast.go).
//
// Which nodes a provider serves is a table of its own: package kernels.

var cudaOwn = map[string][]form{}

// cudaKernels are the forms that need the kernel library: its operators, and
// others in the layout that goes with them (channelslast.go). They come beside
// whatever else a kind has.
var cudaKernels = map[string][]form{}

// loan is a CPU form in the list of a kind that has its own.
type loan struct {
	name string
	rank func(*ir.Node, Options) float64
}

var cudaLoans = map[string][]loan{}

// registerKernel adds a form that needs CUDA's kernel library.
func registerKernel(kind string, f form) { cudaKernels[kind] = append(cudaKernels[kind], f) }

// registerCUDA adds a form to a kind's own list.
func registerCUDA(kind string, f form) { cudaOwn[kind] = append(cudaOwn[kind], f) }

// borrow adds a CPU form to a kind's own list.
func borrow(kind, name string, rank func(*ir.Node, Options) float64) {
	cudaLoans[kind] = append(cudaLoans[kind], loan{name, rank})
}

// cudaForms collects the forms by kind once all are registered.
var cudaForms = sync.OnceValue(func() map[string][]form {
	all := map[string][]form{}
	for kind, forms := range cpuForms {
		all[kind] = slices.Clone(cudaOwn[kind])
		for _, l := range cudaLoans[kind] {
			i := slices.IndexFunc(forms, func(f form) bool { return f.name == l.name })
			if i < 0 {
				panic("lower: " + kind + " has no CPU form " + l.name + " to borrow")
			}
			all[kind] = append(all[kind], form{name: l.name, emit: forms[i].emit, rank: l.rank, half: forms[i].half})
		}
		for _, f := range forms {
			if len(cudaOwn[kind])+len(cudaLoans[kind]) > 0 {
				break
			}
			if f.name != "kernel" && !strings.HasPrefix(f.name, "blocked") {
				all[kind] = append(all[kind], f)
			}
		}
		all[kind] = append(all[kind], cudaKernels[kind]...)
	}
	return all
})

func init() {
	borrow("ReluGrad", "where", nil)
	borrow("ReluGrad", "cast", worse(1))
	borrow("ReluGrad", "step", worse(2))

	registerCUDA("ConvGradInput", form{name: "conv_transpose", half: true, emit: emitConvTransposeCut})
	borrow("ConvGradInput", "conv_flipped", worse(1))
	borrow("ConvGradInput", "spread", worse(2))

	registerCUDA("Sum", form{name: "steps", emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Sum)
		if op.Axes != ir.Axes(0, 2, 3) {
			return false
		}
		d := e.do("ReduceSum", []string{e.in(n.In[0]), e.ints(2, 3)}, onnx.AttrInt("keepdims", flag(op.Keep)))
		e.emit("ReduceSum", []string{d, e.ints(0)}, []string{e.out(n.Out[0])}, onnx.AttrInt("keepdims", flag(op.Keep)))
		return true
	}})
	borrow("Sum", "direct", worse(1))
}

// perChannel emits Σ over images and pixels of x N×C×H×W in two steps: [C].
func (e *Emitter) perChannel(x string) string {
	d := e.do("ReduceSum", []string{x, e.ints(2, 3)}, onnx.AttrInt("keepdims", 0))
	return e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

func emitConvTransposeCut(e *Emitter, n *ir.Node) bool {
	op, w := n.Op.(ir.ConvGradInput), n.In[1].Shape
	e.convTransposeCut(e.in(n.In[0]), e.in(n.In[1]), n.In[0].Shape, [2]int{w[2], w[3]}, op.ConvAttr, op.Input, e.out(n.Out[0]))
	return true
}

// convTransposeCut emits the gradient of a convolution with respect to its
// input, of the given size, from that of its output, of shape dy. Both sides of
// an axis are padded by the lesser of the two paddings, and what is asked for
// is cut out; output_padding restores what the forward stride left unread.
func (e *Emitter) convTransposeCut(d, w string, dy ir.Shape, kernel [2]int, a ir.ConvAttr, input [2]int, out string) {
	asked := a
	var extra, start [2]int
	cut := false
	for i := range 2 {
		pad := min(a.Pad[i], a.Pad[i+2])
		a.Pad[i], a.Pad[i+2] = pad, pad
		size := (dy[2+i]-1)*a.Stride[i] + (kernel[i]-1)*a.Dilation[i] + 1 - 2*pad
		start[i] = asked.Pad[i] - pad
		extra[i] = max(0, start[i]+input[i]-size)
		cut = cut || size+extra[i] != input[i]
	}
	attrs := convAttrs(a)
	if extra != [2]int{} {
		attrs = append(attrs, attrPair("output_padding", extra))
	}
	if !cut {
		e.emit("ConvTranspose", []string{d, w}, []string{out}, attrs...)
		return
	}
	d = e.do("ConvTranspose", []string{d, w}, attrs...)
	e.emit("Slice", []string{d, e.ints(start[:]...), e.ints(start[0]+input[0], start[1]+input[1]), e.ints(2, 3)}, []string{out})
}
