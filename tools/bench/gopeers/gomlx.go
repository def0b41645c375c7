package main

import (
	"runtime/debug"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/core/tensors/images"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/layers/activations"
)

// gomlx builds the step on GoMLX's own backend in Go, which in v0.26.0 lacks the
// operator Reverse that a convolution's gradient needs. Its other backend, XLA,
// loads a plugin that is downloaded from outside the Go modules.
func gomlx(n *network) (step, string, error) {
	backend, err := simplego.New("")
	if err != nil {
		return nil, "", err
	}
	var _ backends.Backend = backend
	ctx := context.New()
	ctx.VariableWithValue("w1", tensors.FromFlatDataAndDimensions(n.w1, n.first, n.channels, 3, 3))
	ctx.VariableWithValue("w2", tensors.FromFlatDataAndDimensions(n.w2, n.width, n.first, 3, 3))
	ctx.VariableWithValue("weight", tensors.FromFlatDataAndDimensions(n.weight, n.classes, n.width))
	ctx.VariableWithValue("bias", tensors.FromFlatDataAndDimensions(n.bias, 1, n.classes))
	exec, err := context.NewExec(backend, ctx, func(ctx *context.Context, in []*graph.Node) *graph.Node {
		x, targets := in[0], in[1]
		g := x.Graph()
		var vs []*context.Variable
		var ps []*graph.Node
		for _, name := range []string{"w1", "w2", "weight", "bias"} {
			v := ctx.InspectVariableInScope(name)
			vs, ps = append(vs, v), append(ps, v.ValueGraph(g))
		}
		pad := [][2]int{{1, 1}, {1, 1}}
		h := graph.Convolve(x, ps[0]).ChannelsAxis(images.ChannelsFirst).PaddingPerDim(pad).Strides(1).Done()
		h = activations.Relu(h)
		h = graph.Convolve(h, ps[1]).ChannelsAxis(images.ChannelsFirst).PaddingPerDim(pad).Strides(2).Done()
		h = activations.Relu(h)
		h = graph.ReduceMean(h, 2, 3)
		logits := graph.Add(graph.Einsum("nc,kc->nk", h, ps[2]), ps[3])
		loss := graph.MulScalar(graph.ReduceAllSum(graph.Mul(targets, graph.LogSoftmax(logits))), -1/float64(n.batch))
		for i, d := range graph.Gradient(loss, ps...) {
			vs[i].SetValueGraph(graph.Sub(ps[i], graph.MulScalar(d, learningRate)))
		}
		return loss
	})
	if err != nil {
		return nil, "", err
	}
	x := tensors.FromFlatDataAndDimensions(n.images, n.batch, n.channels, n.size, n.size)
	targets := tensors.FromFlatDataAndDimensions(n.targets, n.batch, n.classes)
	return func() (float32, error) {
		out, err := exec.Exec(x, targets)
		if err != nil {
			return 0, err
		}
		return tensors.ToScalar[float32](out[0]), nil
	}, version("github.com/gomlx/gomlx") + " (simplego)", nil
}

func version(path string) string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return ""
}
