// Package optimizer holds the update rules that are emitted into the training
// graph: one file each. A rule works on whole flat vectors, so a network of
// hundreds of tensors is updated by a handful of operators.
package optimizer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Slot is a state vector of the rule, as long as the parameters.
type Slot struct {
	Name string
	Init float32
}

// Hyper is a scalar that is fed at every step.
type Hyper struct {
	Name    string
	Default float32
	Help    string
}

// Option is a switch that shapes the emitted graph; the default comes first.
type Option struct {
	Name   string
	Values []string
	Help   string
}

// State is what a rule reads and writes while it emits an update.
type State struct {
	G *ir.Graph
	// Params, Grads and each of Slots are vectors [P].
	Params, Grads *ir.Value
	Slots         map[string]*ir.Value
	// Hyper holds the scalar inputs by name.
	Hyper map[string]*ir.Value
	// Decayed is nil when weight decay applies to every parameter, else a
	// vector [P] of ones where it applies and zeros elsewhere.
	Decayed *ir.Value
	Options map[string]string
}

// Optimizer is a registered update rule.
type Optimizer struct {
	Name        string
	Description string
	Source      string
	Slots       []Slot
	Hyper       []Hyper
	Options     []Option
	// Update appends the rule to s.G and returns the new parameters and the
	// new slots.
	Update func(s *State) (params *ir.Value, slots map[string]*ir.Value)
}

var registry = map[string]*Optimizer{}

// Register adds a rule; a taken name is a programmer's mistake.
func Register(o *Optimizer) {
	if registry[o.Name] != nil {
		panic(fmt.Sprintf("optimizer: %q is registered twice", o.Name))
	}
	registry[o.Name] = o
}

// Names lists the registered rules.
func Names() []string {
	var names []string
	for n := range registry {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Lookup returns a registered rule; ok is false for an unknown name.
func Lookup(name string) (o *Optimizer, ok bool) {
	o, ok = registry[name]
	return o, ok
}

// Resolve checks options and fills in defaults; given is not changed.
func (o *Optimizer) Resolve(given map[string]string) (map[string]string, error) {
	options := map[string]string{}
	var known []string
	for _, op := range o.Options {
		options[op.Name] = op.Values[0]
		known = append(known, op.Name)
	}
	for name, value := range given {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("optimizer %s: no option %q; it has: %s", o.Name, name, strings.Join(known, ", "))
		}
		if !slices.Contains(o.Options[i].Values, value) {
			return nil, fmt.Errorf("optimizer %s: option %s takes %s, not %q", o.Name, name, strings.Join(o.Options[i].Values, " or "), value)
		}
		options[name] = value
	}
	return options, nil
}

func (s *State) add(a, b *ir.Value) *ir.Value { return s.G.One("update", ir.Binary{F: ir.Add}, a, b) }
func (s *State) sub(a, b *ir.Value) *ir.Value { return s.G.One("update", ir.Binary{F: ir.Sub}, a, b) }
func (s *State) mul(a, b *ir.Value) *ir.Value { return s.G.One("update", ir.Binary{F: ir.Mul}, a, b) }

// decayedGrads returns grads + weight_decay·params where decay applies: L2
// regularisation, coupled with the gradient as in PyTorch's SGD and Adam.
func (s *State) decayedGrads() *ir.Value {
	p := s.Params
	if s.Decayed != nil {
		p = s.mul(p, s.Decayed)
	}
	return s.add(s.Grads, s.mul(p, s.Hyper["weight_decay"]))
}
