// Package optimizer holds the update rules that are emitted into the training
// graph: one file each. A rule works on whole flat vectors, so a network of
// hundreds of tensors is updated by a handful of operators; only the rules that
// look at each layer on its own (LARS, LAMB, Muon, AGC) cut the vectors up.
//
// What changes during training (learning rate, decay, the number of the step)
// is a scalar input of the graph, a Hyper; what shapes the graph (Nesterov's
// form, AMSGrad's maximum) is an Option. What is done to the gradient before
// any rule sees it (clipping, L1) is a Transform.
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
	// When says with which option the rule has the slot.
	When When
}

// Option is a switch that shapes the emitted graph; the default comes first.
type Option struct {
	Name   string
	Values []string
	Help   string
}

// When ties something to the value of an option; the zero When always holds.
type When struct{ Option, Value string }

func (w When) holds(options map[string]string) bool {
	return w.Option == "" || options[w.Option] == w.Value
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
	// new slots, by name.
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

// SlotsFor lists the slots that the rule has with resolved options.
func (o *Optimizer) SlotsFor(options map[string]string) []Slot {
	return filter(o.Slots, func(s Slot) bool { return s.When.holds(options) })
}

// HyperFor lists the scalars that the rule is fed with resolved options.
func (o *Optimizer) HyperFor(options map[string]string) []Hyper {
	return filter(o.Hyper, func(h Hyper) bool { return h.When.holds(options) })
}

func filter[T any](all []T, keep func(T) bool) []T {
	var out []T
	for _, x := range all {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// OptionError is a problem with one option of a rule.
type OptionError struct{ Optimizer, Option, Problem string }

func (e *OptionError) Error() string {
	return fmt.Sprintf("optimizer %s: option %s: %s", e.Optimizer, e.Option, e.Problem)
}

// Resolve checks options and fills in defaults; given is not changed. The
// error is an *OptionError.
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
			return nil, &OptionError{o.Name, name, fmt.Sprintf("there is no such option; there is %s", list(known))}
		}
		if values := o.Options[i].Values; !slices.Contains(values, value) {
			return nil, &OptionError{o.Name, name, fmt.Sprintf("takes %s, not %q", strings.Join(values, " or "), value)}
		}
		options[name] = value
	}
	return options, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Settings sorts what a user may say of a rule in one list into options, which
// are resolved, and values of hyper-parameters by name. It takes the options
// and every hyper-parameter that is not among those with a place of their own
// (Reserved). given is not changed. The error is an *OptionError.
func (o *Optimizer) Settings(given map[string]string) (options map[string]string, hyper map[string]float32, err error) {
	switches, numbers := map[string]string{}, map[string]string{}
	var names []string
	for _, op := range o.Options {
		names = append(names, op.Name)
	}
	for _, h := range o.Hyper {
		if !Reserved(h.Name) {
			names = append(names, h.Name)
		}
	}
	for _, name := range sortedKeys(given) {
		switch {
		case slices.ContainsFunc(o.Options, func(op Option) bool { return op.Name == name }):
			switches[name] = given[name]
		case slices.Contains(names, name):
			numbers[name] = given[name]
		default:
			return nil, nil, &OptionError{o.Name, name, fmt.Sprintf("%s has no such option; it has %s", o.Name, list(names))}
		}
	}
	if options, err = o.Resolve(switches); err != nil {
		return nil, nil, err
	}
	hyper = map[string]float32{}
	for _, name := range sortedKeys(numbers) {
		i := slices.IndexFunc(o.Hyper, func(h Hyper) bool { return h.Name == name })
		h := o.Hyper[i]
		if !h.When.holds(options) {
			return nil, nil, &OptionError{o.Name, name, fmt.Sprintf("goes with %s %s only, which is %s", h.When.Option, h.When.Value, options[h.When.Option])}
		}
		if hyper[name], err = h.parse(numbers[name]); err != nil {
			return nil, nil, &OptionError{o.Name, name, err.Error()}
		}
	}
	return options, hyper, nil
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
