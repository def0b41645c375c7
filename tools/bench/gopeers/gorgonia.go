package main

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gorgoniaStep builds the step on Gorgonia's tape machine.
func gorgoniaStep(n *network) (step, string, error) {
	g := gorgonia.NewGraph()
	learn := func(name string, data []float32, shape ...int) *gorgonia.Node {
		t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float32(nil), data...)))
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(t))
	}
	x := learn("images", n.images, n.batch, n.channels, n.size, n.size)
	targets := learn("targets", n.targets, n.batch, n.classes)
	w1 := learn("w1", n.w1, n.first, n.channels, 3, 3)
	w2 := learn("w2", n.w2, n.width, n.first, 3, 3)
	// Its linear layer wants I×O.
	flipped := make([]float32, len(n.weight))
	for k := range n.classes {
		for c := range n.width {
			flipped[c*n.classes+k] = n.weight[k*n.width+c]
		}
	}
	weight, bias := learn("weight", flipped, n.width, n.classes), learn("bias", n.bias, 1, n.classes)
	model := []*gorgonia.Node{w1, w2, weight, bias}

	kernel, pad, one, two := tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{2, 2}
	h, err := gorgonia.Conv2d(x, w1, kernel, pad, one, one)
	if err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Rectify(h); err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Conv2d(h, w2, kernel, pad, two, one); err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Rectify(h); err != nil {
		return nil, "", err
	}
	side := (n.size + 1) / 2
	if h, err = gorgonia.Reshape(h, tensor.Shape{n.batch * n.width, side * side}); err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Mean(h, 1); err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Reshape(h, tensor.Shape{n.batch, n.width}); err != nil {
		return nil, "", err
	}
	if h, err = gorgonia.Mul(h, weight); err != nil {
		return nil, "", err
	}
	logits, err := gorgonia.BroadcastAdd(h, bias, nil, []byte{0})
	if err != nil {
		return nil, "", err
	}
	p, err := gorgonia.SoftMax(logits)
	if err != nil {
		return nil, "", err
	}
	logp, err := gorgonia.Log(p)
	if err != nil {
		return nil, "", err
	}
	product, err := gorgonia.HadamardProd(logp, targets)
	if err != nil {
		return nil, "", err
	}
	sum, err := gorgonia.Sum(product)
	if err != nil {
		return nil, "", err
	}
	scale := gorgonia.NewConstant(float32(-1) / float32(n.batch))
	loss, err := gorgonia.Mul(sum, scale)
	if err != nil {
		return nil, "", err
	}
	var value gorgonia.Value
	gorgonia.Read(loss, &value)
	if _, err := gorgonia.Grad(loss, model...); err != nil {
		return nil, "", err
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(model...))
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(learningRate))
	return func() (float32, error) {
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			return 0, err
		}
		if err := solver.Step(gorgonia.NodesToValueGrads(model)); err != nil {
			return 0, err
		}
		v, ok := value.Data().(float32)
		if !ok {
			return 0, fmt.Errorf("gorgonia: the loss is %T", value.Data())
		}
		return v, nil
	}, version("gorgonia.org/gorgonia"), nil
}
