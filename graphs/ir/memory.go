package ir

// Bytes is the size of an element.
func (d DType) Bytes() int {
	switch d {
	case Uint8:
		return 1
	case Float16:
		return 2
	case Int64:
		return 8
	}
	return 4
}

// PeakBytes is the most memory that the graph's values take at a time when its
// nodes run in order and a value is freed after its last reader: inputs and
// outputs are there throughout, and what reshapes shares its memory. It counts
// nothing that a lowering stores within a node.
func (g *Graph) PeakBytes() int64 {
	size := func(v *Value) int64 { return int64(v.Shape.Size() * v.DType.Bytes()) }
	// A view lasts as long as the value it is of.
	base := map[*Value]*Value{}
	of := func(v *Value) *Value {
		if b := base[v]; b != nil {
			return b
		}
		return v
	}
	last := map[*Value]int{}
	for i, n := range g.Nodes {
		if n.Op.Kind() == "Reshape" {
			base[n.Out[0]] = of(n.In[0])
		}
		for _, v := range n.In {
			last[of(v)] = i
		}
	}
	live := int64(0)
	stays := map[*Value]bool{}
	for _, v := range g.Inputs {
		stays[v] = true
		live += size(v)
	}
	for _, o := range g.Outputs {
		if b := of(o.Value); !stays[b] {
			stays[b] = true
			live += size(b)
		}
	}
	peak := live
	for i, n := range g.Nodes {
		for _, v := range n.Out {
			if b := of(v); b == v && !stays[v] {
				live += size(v)
			}
		}
		peak = max(peak, live)
		freed := map[*Value]bool{}
		for _, v := range append(append([]*Value(nil), n.In...), n.Out...) {
			b := of(v)
			if stays[b] || freed[b] || b.IsConst() || last[b] > i || b.Node == nil {
				continue
			}
			freed[b] = true
			live -= size(b)
		}
	}
	return peak
}
