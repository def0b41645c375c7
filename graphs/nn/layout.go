package nn

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Layout is what a model declares, in order of declaration.
type Layout struct {
	Params []Tensor
	Stats  []Tensor
	Random []Random
	Norms  []NormNames
}

// NormNames are the names of a batch norm's scale and running statistics.
type NormNames struct{ Scale, Mean, Variance string }

// Collector is a Source that records declarations and answers them with
// inputs of the tensor's name; it serves the scratch pass, and graphs whose
// parameters are separate inputs.
type Collector struct {
	G      *ir.Graph
	Layout Layout
	names  map[string]bool
}

// Param records t and adds an input of its name.
func (c *Collector) Param(t Tensor) *ir.Value {
	c.Layout.Params = append(c.Layout.Params, t)
	return c.declare(t)
}

// Stat records t and adds an input of its name.
func (c *Collector) Stat(t Tensor) *ir.Value {
	c.Layout.Stats = append(c.Layout.Stats, t)
	return c.declare(t)
}

// Random records r and adds an input of its name.
func (c *Collector) Random(r Random) *ir.Value {
	c.Layout.Random = append(c.Layout.Random, r)
	return c.declare(Tensor{Name: r.Name, Shape: r.Shape})
}

func (c *Collector) declare(t Tensor) *ir.Value {
	if c.names == nil {
		c.names = map[string]bool{}
	}
	if c.names[t.Name] {
		panic(fmt.Sprintf("nn: tensor %q is declared twice", t.Name))
	}
	if err := t.Init.Validate(); err != nil {
		panic(fmt.Sprintf("nn: tensor %q: %v", t.Name, err))
	}
	c.names[t.Name] = true
	return c.G.Input(t.Name, ir.Type{DType: ir.Float32, Shape: t.Shape})
}

// Values is a Source that answers declarations from a map by name.
type Values map[string]*ir.Value

// Param returns the value of t's name.
func (v Values) Param(t Tensor) *ir.Value { return v.find(t) }

// Stat returns the value of t's name.
func (v Values) Stat(t Tensor) *ir.Value { return v.find(t) }

// Random returns the value of r's name.
func (v Values) Random(r Random) *ir.Value { return v.find(Tensor{Name: r.Name}) }

func (v Values) find(t Tensor) *ir.Value {
	x := v[t.Name]
	if x == nil {
		panic(fmt.Sprintf("nn: the model declares %q only in one of its passes", t.Name))
	}
	return x
}
