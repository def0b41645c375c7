package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Weight gradients on CUDA. cuDNN's own (backward-filter) is behind no ONNX
// operator, so they are matrix products, or convolutions with dy as the filter.
// The forms differ in what they copy and in what the products leave to be
// added up, and the device is busy only where there are enough tiles of output
// to share. The cost rule below estimates that; 'ortrain tune --provider cuda'
// measures it.

func init() {
	borrow("ConvGradWeight", "depthwise", worse(0))
	registerCUDA("ConvGradWeight", form{name: "pointwise_gemm", half: true, emit: emitWeightPointwiseGemm, rank: weightCost(func(w weightWork) float64 {
		return 3*(w.x+w.dy) + w.products(w.k*w.in, w.out)
	})})
	borrow("ConvGradWeight", "pointwise", weightCost(func(w weightWork) float64 {
		return w.x + w.dy + 2*w.images + w.products(w.n*w.in, w.out)
	}))
	registerCUDA("ConvGradWeight", form{name: "tap_gemms", half: true, emit: emitWeightTapGemms, rank: weightCost(func(w weightWork) float64 {
		return 2*w.dy + 4*w.x + w.k*(3*w.tap+w.dy) + w.products(w.in, w.out)
	})})
	registerCUDA("ConvGradWeight", form{name: "tap_products", half: true, emit: emitWeightTapProducts, rank: weightCost(func(w weightWork) float64 {
		return 2*w.x + w.k*(3*w.tap+w.dy) + 3*w.images + w.products(w.n*w.in, w.out)
	})})
	borrow("ConvGradWeight", "skew", weightCost(func(w weightWork) float64 {
		return 9*w.dy + 15*w.x + 2*w.images + w.products(w.n*w.k*w.in, w.out)
	}))
	borrow("ConvGradWeight", "shifts", weightCost(func(w weightWork) float64 {
		return 5*(w.wide*w.x+w.tall*w.dy) + 2*w.x + 2*w.dy + 2*w.images + w.products(w.n*w.k*w.in, w.out)
	}))
	borrow("ConvGradWeight", "taps", weightCost(func(w weightWork) float64 {
		return 2*w.x + 5*w.k*w.tap + w.dy + 2*w.images + w.products(w.n*w.k*w.in, w.out)
	}))
	borrow("ConvGradWeight", "big_filter", weightCost(func(w weightWork) float64 {
		return 3*(w.x+w.dy) + w.products(w.k*w.in, w.out)
	}))
	for _, split := range []struct {
		name   string
		groups int
	}{{"big_filter_4", 4}, {"big_filter_16", 16}, {"big_filter_64", 64}} {
		registerCUDA("ConvGradWeight", form{name: split.name, half: true, emit: emitWeightSplit(split.groups), rank: weightCost(func(w weightWork) float64 {
			return 3*(w.x+w.dy) + float64(split.groups)*2*w.images/w.n + w.products(float64(split.groups)*w.k*w.in, w.out)
		})})
	}
	borrow("ConvGradWeight", "interleaved", worse(1e12))
	borrow("ConvGradWeight", "stacked", worse(1e12))
	borrow("ConvGradWeight", "depth", worse(1e12))
}

// weightWork is what a weight gradient has to do, in elements: the maps, one
// tap's share of x, and the products of all images for all taps.
type weightWork struct {
	x, dy, tap, images   float64
	n, in, out           float64 // images, channels of a group
	k, tall, wide, flops float64 // taps, rows and columns of the kernel
}

// weightCost ranks a form by an estimate of its work in moved elements.
func weightCost(cost func(weightWork) float64) func(*ir.Node, Options) float64 {
	return func(n *ir.Node, _ Options) float64 {
		op := n.Op.(ir.ConvGradWeight)
		dy, x, w := n.In[0].Shape, n.In[1].Shape, n.Out[0].Shape
		k := float64(op.Kernel[0] * op.Kernel[1])
		work := weightWork{
			x: float64(x.Size()), dy: float64(dy.Size()), tap: float64(x[0] * x[1] * dy[2] * dy[3]),
			images: float64(x[0] * w.Size()), n: float64(x[0] * op.Groups), in: float64(w[1]), out: float64(w[0] / op.Groups),
			k: k, tall: float64(op.Kernel[0]), wide: float64(op.Kernel[1]),
			flops: 2 * float64(w.Size()) * float64(dy[0]*dy[2]*dy[3]),
		}
		return cost(work)
	}
}

const (
	// tileSize and tilesBusy: a kernel works on tiles of its output, of which
	// a device wants so many at a time.
	tileSize, tilesBusy = 128, 132
	// operationsPerElement is how many floating-point operations of a product
	// take as long as moving an element of float32: about 200 TFLOP/s against
	// 3 TB/s.
	operationsPerElement = 270
)

// products is the time of the multiplications when the output is rows × columns.
func (w weightWork) products(rows, columns float64) float64 {
	tiles := max(1, rows/tileSize) * max(1, columns/tileSize)
	return w.flops / operationsPerElement / min(1, tiles/tilesBusy)
}

// byChannel emits a map N×C×H×W as C×N×H×W.
func (e *Emitter) byChannel(x string) string {
	return e.once("by channel", "Transpose", []string{x}, onnx.AttrInts("perm", 1, 0, 2, 3))
}

// emitWeightPointwiseGemm makes one product of all images for a 1×1 kernel.
func emitWeightPointwiseGemm(e *Emitter, n *ir.Node) bool {
	xs, ok := e.pointwiseInput(n)
	if !ok {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	all := dy[0] * dy[2] * dy[3]
	a, b := e.reshape(e.byChannel(e.in(n.In[0])), dy[1], all), e.reshape(e.byChannel(xs), x[1], all)
	d := e.float32(e.do("Gemm", []string{a, b}, onnx.AttrInt("transB", 1)))
	e.emit("Reshape", []string{d, e.ints(dy[1], x[1], 1, 1)}, []string{e.out(n.Out[0])})
	return true
}

// emitWeightTapGemms makes a product of all images for each tap: both maps are
// turned to have the channels first once, and a tap's share of x is one slice.
func emitWeightTapGemms(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.Groups != 1 {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	all := dy[0] * dy[2] * dy[3]
	a := e.reshape(e.byChannel(e.in(n.In[0])), dy[1], all)
	xt := e.byChannel(e.padded(n.In[1], op.ConvAttr))
	return e.tapByTap(n, func(i, j int) string {
		b := e.reshape(e.tapSlice(xt, dy, op.ConvAttr, i, j), x[1], all)
		return e.float32(e.do("Gemm", []string{a, b}, onnx.AttrInt("transB", 1)))
	})
}

// emitWeightTapProducts makes a product for each image, group and tap, and adds
// the images up tap by tap. It serves every convolution.
func emitWeightTapProducts(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x, w := n.In[0].Shape, n.In[1].Shape, n.Out[0].Shape
	p, maps := dy[2]*dy[3], dy[0]*op.Groups
	a := e.reshape(e.in(n.In[0]), maps, dy[1]/op.Groups, p)
	xp := e.padded(n.In[1], op.ConvAttr)
	return e.tapByTap(n, func(i, j int) string {
		b := e.reshape(e.tapSlice(xp, dy, op.ConvAttr, i, j), maps, x[1]/op.Groups, p)
		prod := e.do("com.microsoft:FusedMatMul", []string{a, b}, onnx.AttrInt("transB", 1))
		return e.do("ReduceSum", []string{e.reshape(e.float32(prod), dy[0], w[0], w[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
	})
}

// tapByTap emits dw from what a function gives for each tap: O×C or of as many
// elements.
func (e *Emitter) tapByTap(n *ir.Node, tap func(i, j int) string) bool {
	op, w := n.Op.(ir.ConvGradWeight), n.Out[0].Shape
	var taps []string
	for i := range op.Kernel[0] {
		for j := range op.Kernel[1] {
			taps = append(taps, e.reshape(tap(i, j), w[0], w[1], 1))
		}
	}
	d := taps[0]
	if len(taps) > 1 {
		d = e.do("Concat", taps, onnx.AttrInt("axis", 2))
	}
	e.emit("Reshape", []string{d, e.ints(w...)}, []string{e.out(n.Out[0])})
	return true
}

// emitWeightSplit is the big filter with the images in parts, each a group of
// the convolution, so that more of the device has something to do.
func emitWeightSplit(parts int) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.ConvGradWeight)
		dy, x := n.In[0].Shape, n.In[1].Shape
		a, size, ok := crossed(op, dy, x)
		if !ok || op.Groups != 1 || dy[0]%parts != 0 {
			return false
		}
		a.Groups = parts
		filter := e.reshape(e.in(n.In[0]), parts, dy[0]/parts, dy[1], dy[2]*dy[3])
		filter = e.do("Transpose", []string{filter}, onnx.AttrInts("perm", 0, 2, 1, 3))
		filter = e.reshape(filter, parts*dy[1], dy[0]/parts, dy[2], dy[3])
		d := e.float32(e.do("Conv", []string{e.byChannel(e.in(n.In[1])), filter}, convAttrs(a)...)) // C×(parts·O)×≥kh×≥kw
		d = e.do("ReduceSum", []string{e.reshape(d, x[1], parts, dy[1], size[0], size[1]), e.ints(1)}, onnx.AttrInt("keepdims", 0))
		if size != op.Kernel {
			d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(2, 3)})
		}
		e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 1, 0, 2, 3))
		return true
	}
}
