package ir

import "fmt"

// Retype gives the nodes new element types, in place: want says for a node of
// what type it is to read each of its inputs, whose types are final when it is
// asked. Where an input is of another, a Cast goes in between, one for each
// value and type; a constant gets a copy. The outputs get the types that the
// operator infers.
//
// Values stay the same objects. Those that leave the graph may have another
// type afterwards.
func (g *Graph) Retype(want func(n *Node) []DType) error {
	nodes := g.Nodes
	g.Nodes = make([]*Node, 0, 2*len(nodes))
	type key struct {
		v *Value
		d DType
	}
	casts := map[key]*Value{}
	as := func(v *Value, d DType) *Value {
		if v.DType == d {
			return v
		}
		c := casts[key{v, d}]
		switch {
		case c != nil:
		case v.IsConst():
			c = g.newValue(v.Name, Type{d, v.Shape})
			c.Data, c.Anonymous = v.Data, v.Anonymous
		default:
			c = g.One(v.Name+"."+d.String(), Cast{To: d}, v)
		}
		casts[key{v, d}] = c
		return c
	}
	for _, n := range nodes {
		types := make([]Type, len(n.In))
		for i, d := range want(n) {
			n.In[i] = as(n.In[i], d)
			types[i] = n.In[i].Type
		}
		outs, err := n.Op.Infer(types)
		if err != nil {
			return fmt.Errorf("ir: node %q (%s) of other types: %w", n.Name, n.Op.Kind(), err)
		}
		for i, t := range outs {
			n.Out[i].Type = t
		}
		n.ID = len(g.Nodes)
		g.Nodes = append(g.Nodes, n)
	}
	return nil
}
