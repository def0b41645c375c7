package ir

// FLOPs counts the multiply-adds of the graph's convolutions, their gradients
// and its matrix products: the convention of the ResNet papers, where one
// multiply-add is one FLOP.
func (g *Graph) FLOPs() int64 {
	var total int64
	for _, n := range g.Nodes {
		total += n.flops()
	}
	return total
}

func (n *Node) flops() int64 {
	switch op := n.Op.(type) {
	case Conv:
		w := n.In[1].Shape
		return int64(n.Out[0].Shape.Size()) * int64(w[1]*w[2]*w[3])
	case ConvGradInput:
		w := n.In[1].Shape
		return int64(n.In[0].Shape.Size()) * int64(w[1]*w[2]*w[3])
	case ConvGradWeight:
		w := n.Out[0].Shape
		return int64(n.In[0].Shape.Size()) * int64(w[1]*w[2]*w[3])
	case MatMul:
		k := n.In[0].Shape[1]
		if op.TransA {
			k = n.In[0].Shape[0]
		}
		return int64(n.Out[0].Shape.Size()) * int64(k)
	case BatchMatMul:
		a := n.In[0].Shape
		k := a[len(a)-1]
		if op.TransA {
			k = a[len(a)-2]
		}
		return int64(n.Out[0].Shape.Size()) * int64(k)
	case Gemm:
		k := n.In[0].Shape[1]
		if op.TransA {
			k = n.In[0].Shape[0]
		}
		return int64(n.Out[0].Shape.Size()) * int64(k)
	}
	return 0
}
