package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// AmoebaNet-B (Real et al. 2018, "Regularized Evolution for Image Classifier
// Architecture Search") for small images, AmoebaNet-B (N, F): a 3×3 stem of 3F
// channels, three stages of N normal cells with F, 2F and 4F channels, a
// reduction cell before the second and third, global average pooling and one
// linear layer. A classifier at the end of the second stage joins the training
// loss.
//
// The cells are those of the authors' code (tensorflow/tpu,
// models/official/amoeba_net): each starts from its predecessor's output behind
// relu-1×1-norm (state 0) and that of the cell before, brought to the same size
// (state 1); five times two operations on earlier states are added up to a new
// state, and the states that no operation reads are joined. Padding is
// TensorFlow's "SAME".
//
// What differs: the paths of a cell drop with a constant probability that grows
// from cell to cell, where the authors' grows during training too; norms have
// this project's ε and momentum. The authors' ImageNet stem is not here.

func init() {
	for _, a := range [][2]int{{1, 16}, {6, 36}, {6, 80}, {6, 128}} {
		Register(&Model{
			Name: fmt.Sprintf("amoebanet_b_%d_%d", a[0], a[1]),
			Description: fmt.Sprintf("AmoebaNet-B (%d, %d) for small images: 3 stages of %d evolved cells, %d-%d-%d filters, auxiliary classifier",
				a[0], a[1], a[0], a[1], 2*a[1], 4*a[1]),
			Source:   "Real et al. 2018, arXiv 1802.01548",
			MinInput: 16,
			Options: []Option{
				{Name: "aux_weight", Default: "0.4", Help: "weight of the auxiliary classifier's loss while training, 0 to 1; 0 leaves it out"},
				{Name: "drop_path", Help: "share of images for which an operation of the last cell is dropped, growing linearly from the first, 0 to 1; the paper's is 0.3"},
				{Name: "init", Values: fanOutFirst(), Help: "how the weights are filled"},
				{Name: "dropout", Help: "share of the pooled features dropped before the linear layer, 0 to 1"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return amoebaNet(b, x, c, a[0], a[1])
			},
		})
	}
}

// An evolvedOp is an operation of a cell on one of its states.
type evolvedOp struct {
	state int
	name  string
}

// An evolvedCell adds the results of each pair of operations up to a new state
// and joins the states listed last.
type evolvedCell struct {
	ops  [5][2]evolvedOp
	join []int
}

var (
	amoebaNormal = evolvedCell{[5][2]evolvedOp{
		{{1, "1x1"}, {1, "max_pool_3x3"}},
		{{1, "none"}, {0, "separable_3x3"}},
		{{1, "1x1"}, {0, "separable_3x3"}},
		{{2, "1x1"}, {2, "none"}},
		{{1, "avg_pool_3x3"}, {5, "1x1"}},
	}, []int{0, 3, 4, 6}}
	amoebaReduction = evolvedCell{[5][2]evolvedOp{
		{{0, "max_pool_2x2"}, {0, "max_pool_3x3"}},
		{{2, "none"}, {1, "3x3"}},
		{{2, "dilated_separable_5x5"}, {2, "max_pool_3x3"}},
		{{3, "none"}, {1, "separable_3x3"}},
		{{4, "avg_pool_3x3"}, {3, "1x1"}},
	}, []int{5, 6}}
)

func amoebaNet(b *nn.Builder, x *ir.Value, c Config, n, filters int) *ir.Value {
	b.Init = nn.Initialiser(c.Options["init"])
	x = b.BatchNorm("stem.bn", b.Conv("stem.conv", x, 3*filters, 3, ir.Window(1, 1)))
	var before *ir.Value // the output of the cell before the last
	total, at := 3*n+2, 0
	cell := func(kind evolvedCell, name string, filters, stride int) {
		at++
		k := amoebaCell{b: b, name: name, filters: filters, stride: stride, drop: c.Number("drop_path") * float64(at) / float64(total)}
		before, x = x, k.apply(kind, x, before)
	}
	for stage := range 3 {
		if stage > 0 {
			cell(amoebaReduction, fmt.Sprintf("reduction%d", stage), filters<<stage, 2)
		}
		for i := range n {
			cell(amoebaNormal, fmt.Sprintf("cell%d", stage*n+i), filters<<stage, 1)
		}
		if w := c.Number("aux_weight"); stage == 1 && w > 0 && b.Training {
			b.Auxiliary = append(b.Auxiliary, nn.Auxiliary{Logits: amoebaAuxiliary(b, "aux", x, c.Classes), Weight: float32(w)})
		}
	}
	x = b.G.One("pool", ir.GlobalAvgPool{}, b.Relu("relu", x))
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("linear", x, c.Classes)
}

// amoebaAuxiliary is the classifier within the network.
func amoebaAuxiliary(b *nn.Builder, name string, x *ir.Value, classes int) *ir.Value {
	x = b.G.One(name+".pool", ir.AvgPool{PoolAttr: ir.Windows(5, 3, 0)}, b.Relu(name+".relu", x))
	x = b.Relu(name+".relu0", b.BatchNorm(name+".bn0", b.Conv(name+".proj", x, 128, 1, ir.Window(1, 0))))
	// One window over the whole map.
	x = b.ConvRect(name+".conv", x, 768, [2]int{x.Shape[2], x.Shape[3]}, ir.Window(1, 0))
	x = b.Relu(name+".relu1", b.BatchNorm(name+".bn1", x))
	return b.Linear(name+".linear", b.G.One(name+".flat", ir.GlobalAvgPool{}, x), classes)
}

type amoebaCell struct {
	b               *nn.Builder
	name            string
	filters, stride int
	drop            float64
}

// apply builds a cell of the given kind behind x; before is nil in the first.
func (k amoebaCell) apply(kind evolvedCell, x, before *ir.Value) *ir.Value {
	first := x
	if before != nil {
		first = k.match(before, x)
	}
	states := []*ir.Value{k.pointwise(".begin", x, 1), first}
	for i, pair := range kind.ops {
		var sum [2]*ir.Value
		for side, op := range pair {
			stride := 1
			if op.state < 2 {
				stride = k.stride
			}
			sum[side] = k.operation(fmt.Sprintf(".op%d.%d", i, side), op.name, states[op.state], stride)
		}
		states = append(states, k.b.Add(fmt.Sprintf("%s.state%d", k.name, i+2), sum[0], sum[1]))
	}
	var joined []*ir.Value
	for _, s := range kind.join {
		joined = append(joined, states[s])
	}
	return k.b.G.One(k.name+".join", ir.Concat{Axis: 1}, joined...)
}

// match brings the output of the cell before the last to this cell's filters
// and to the size of x.
func (k amoebaCell) match(before, x *ir.Value) *ir.Value {
	if before.Shape[2] == x.Shape[2] && before.Shape[3] == x.Shape[3] {
		if before.Shape[1] == k.filters {
			return before
		}
		return k.pointwise(".prev", before, 1)
	}
	// Two halves, the second of the map moved left and up.
	b, name := k.b, k.name+".prev"
	y := b.Relu(name+".relu", before)
	one := b.Conv(name+".conv1", y, k.filters/2, 1, ir.Window(2, 0))
	s := y.Shape
	cut := ir.Range(s, 2, 1, s[2]-1)
	cut.Start[3], cut.Size[3] = 1, s[3]-1
	a := ir.Window(2, 0)
	a.Pad[2], a.Pad[3] = 1, 1
	two := b.Conv(name+".conv2", b.G.One(name+".cut", cut, y), k.filters-k.filters/2, 1, a)
	return b.BatchNorm(name+".bn", b.G.One(name+".join", ir.Concat{Axis: 1}, one, two))
}

// pointwise is relu, 1×1 convolution to the cell's filters, norm.
func (k amoebaCell) pointwise(part string, x *ir.Value, stride int) *ir.Value {
	name := k.name + part
	y := k.b.Conv(name+".conv", k.b.Relu(name+".relu", x), k.filters, 1, ir.Window(stride, 0))
	return k.b.BatchNorm(name+".bn", y)
}

// operation applies one of the search space's operations.
func (k amoebaCell) operation(part, op string, x *ir.Value, stride int) *ir.Value {
	b, name := k.b, k.name+part
	switch op {
	case "none":
		if stride == 1 && x.Shape[1] == k.filters {
			return x
		}
		return k.pointwise(part, x, stride) // never dropped
	case "1x1":
		x = k.pointwise(part, x, stride)
	case "3x3":
		// A bottleneck of a quarter of the filters.
		x = b.Conv(name+".pre", b.Relu(name+".relu", x), k.filters/4, 1, ir.Window(1, 0))
		x = b.Relu(name+".relu0", b.BatchNorm(name+".bn0", x))
		x = b.Conv(name+".conv", x, k.filters/4, 3, same(x.Shape, 3, stride, 1))
		x = b.Relu(name+".relu1", b.BatchNorm(name+".bn1", x))
		x = b.BatchNorm(name+".bn2", b.Conv(name+".post", x, k.filters, 1, ir.Window(1, 0)))
	case "separable_3x3":
		x = k.separable(name, x, 3, stride, 1)
	case "dilated_separable_5x5":
		x = k.separable(name, x, 5, stride, 2)
	default:
		x = k.pool(name, op, x, stride)
	}
	return b.DropPath(name+".drop", x, k.drop)
}

// separable is twice relu, depthwise convolution, 1×1 convolution, norm.
func (k amoebaCell) separable(name string, x *ir.Value, kernel, stride, dilation int) *ir.Value {
	for i := range 2 {
		at := fmt.Sprintf("%s.%d", name, i)
		x = k.b.Relu(at+".relu", x)
		a := same(x.Shape, kernel, stride, dilation)
		a.Groups = x.Shape[1]
		x = k.b.Conv(at+".depthwise", x, x.Shape[1], kernel, a)
		x = k.b.Conv(at+".pointwise", x, k.filters, 1, ir.Window(1, 0))
		x = k.b.BatchNorm(at+".bn", x)
		stride = 1
	}
	return x
}

func (k amoebaCell) pool(name, op string, x *ir.Value, stride int) *ir.Value {
	kernel := 3
	if op == "max_pool_2x2" {
		kernel = 2
	}
	a := ir.PoolAttr{Kernel: [2]int{kernel, kernel}, Stride: [2]int{stride, stride}, Pad: same(x.Shape, kernel, stride, 1).Pad}
	if op == "avg_pool_3x3" {
		x = k.b.G.One(name+".pool", ir.AvgPool{PoolAttr: a}, x)
	} else {
		x = k.b.G.One(name+".pool", ir.MaxPool{PoolAttr: a}, x)
	}
	if x.Shape[1] != k.filters {
		x = k.b.BatchNorm(name+".bn", k.b.Conv(name+".conv", x, k.filters, 1, ir.Window(1, 0)))
	}
	return x
}

// same returns the attributes of a convolution of x whose output has the input's
// size divided by the stride, rounded up: TensorFlow's padding "SAME", of which
// the greater half lies after the map.
func same(x ir.Shape, kernel, stride, dilation int) ir.ConvAttr {
	a := ir.Window(stride, 0)
	a.Dilation = [2]int{dilation, dilation}
	for i := range 2 {
		out := (x[2+i] + stride - 1) / stride
		pad := max((out-1)*stride+(kernel-1)*dilation+1-x[2+i], 0)
		a.Pad[i], a.Pad[2+i] = pad/2, pad-pad/2
	}
	return a
}
