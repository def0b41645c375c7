// Package models is the zoo: one file a family, each registering the networks
// it can build.
package models

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// Config is what a job decides about a network.
type Config struct {
	Classes int
	// Input is C, H, W.
	Input [3]int
	// Options are the family's own switches by name, e.g. "shortcut": "B".
	Options map[string]string
}

// Option is a switch of a family: the default comes first. One without Values
// is a number from 0 up to, but not including, 1; its default is Default, or 0.
type Option struct {
	Name    string
	Values  []string
	Help    string
	Default string
}

// Initial is the value of an option that is not given.
func (o Option) Initial() string {
	switch {
	case o.Values != nil:
		return o.Values[0]
	case o.Default != "":
		return o.Default
	}
	return "0"
}

// check reports a value that the option does not take.
func (o Option) check(model, value string) error {
	if o.Values == nil {
		if v, err := strconv.ParseFloat(value, 64); err != nil || !(v >= 0 && v < 1) {
			return fmt.Errorf("model %s: option %s takes a number from 0 up to 1, not %q", model, o.Name, value)
		}
		return nil
	}
	if !slices.Contains(o.Values, value) {
		return fmt.Errorf("model %s: option %s takes %s, not %q", model, o.Name, strings.Join(o.Values, " or "), value)
	}
	return nil
}

// On reports whether a switch of a resolved configuration is "true".
func (c Config) On(name string) bool { return c.Options[name] == "true" }

// Number returns a numeric option of a resolved configuration.
func (c Config) Number(name string) float64 {
	v, _ := strconv.ParseFloat(c.Options[name], 64)
	return v
}

// Model is a registered network.
type Model struct {
	Name        string
	Description string
	// Source is the paper that defines it.
	Source  string
	Options []Option
	// Check, if set, reports a configuration that Forward cannot build.
	Check func(c Config) error
	// MinInput is the smallest height and width it takes.
	MinInput int
	// Forward appends the network to b's graph: from x N×C×H×W to logits
	// N×Classes. The configuration has been checked by Resolve.
	Forward func(b *nn.Builder, x *ir.Value, c Config) *ir.Value
}

var registry = map[string]*Model{}

// Register adds a network; a taken name is a programmer's mistake.
func Register(m *Model) {
	if registry[m.Name] != nil {
		panic(fmt.Sprintf("models: %q is registered twice", m.Name))
	}
	registry[m.Name] = m
}

// Names lists the registered networks in natural order (resnet8 before
// resnet20).
func Names() []string {
	names := make([]string, 0, len(registry))
	for n := range registry {
		names = append(names, n)
	}
	slices.SortFunc(names, natural)
	return names
}

// natural compares names with their runs of digits taken as numbers.
func natural(a, b string) int {
	digits := func(s string) int {
		return len(s) - len(strings.TrimLeft(s, "0123456789"))
	}
	for a != "" && b != "" {
		if i, j := digits(a), digits(b); i > 0 && j > 0 {
			x, _ := strconv.Atoi(a[:i])
			y, _ := strconv.Atoi(b[:j])
			if x != y {
				return x - y
			}
			a, b = a[i:], b[j:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// Lookup returns a registered network; ok is false for an unknown name.
func Lookup(name string) (m *Model, ok bool) {
	m, ok = registry[name]
	return m, ok
}

// Resolve checks a configuration and fills in the options' defaults; c is not
// changed.
func (m *Model) Resolve(c Config) (Config, error) {
	if c.Classes < 2 {
		return c, fmt.Errorf("model %s: needs at least 2 classes, have %d", m.Name, c.Classes)
	}
	if c.Input[0] < 1 || c.Input[1] < m.MinInput || c.Input[2] < m.MinInput {
		return c, fmt.Errorf("model %s: takes images of at least %d×%d pixels, have %d×%d with %d channels",
			m.Name, m.MinInput, m.MinInput, c.Input[1], c.Input[2], c.Input[0])
	}
	options := map[string]string{}
	for _, o := range m.Options {
		options[o.Name] = o.Initial()
	}
	for name, value := range c.Options {
		i := slices.IndexFunc(m.Options, func(o Option) bool { return o.Name == name })
		if i < 0 {
			known := make([]string, len(m.Options))
			for j, o := range m.Options {
				known[j] = o.Name
			}
			return c, fmt.Errorf("model %s: no option %q; it has %s", m.Name, name, strings.Join(known, ", "))
		}
		if err := m.Options[i].check(m.Name, value); err != nil {
			return c, err
		}
		options[name] = value
	}
	c.Options = options
	if m.Check != nil {
		if err := m.Check(c); err != nil {
			return c, fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	return c, nil
}

// Size returns what the network for inference has and does: its parameters, and
// the multiply-adds for one image (ir.Graph.FLOPs). Training may have more of
// both. c must come from Resolve.
func (m *Model) Size(c Config) (params int, flops int64) {
	g := ir.New("size")
	src := &nn.Collector{G: g}
	m.Forward(&nn.Builder{G: g, Source: src}, g.Input("images", ir.F32(1, c.Input[0], c.Input[1], c.Input[2])), c)
	for _, p := range src.Layout.Params {
		params += p.Shape.Size()
	}
	return params, g.FLOPs()
}

// Layout builds the network once on a scratch graph and returns what it
// declares in training with a batch of the given size. c must come from
// Resolve.
func (m *Model) Layout(c Config, batch int) nn.Layout {
	g := ir.New("layout")
	src := &nn.Collector{G: g}
	b := &nn.Builder{G: g, Source: src, Training: true}
	x := g.Input("images", ir.F32(batch, c.Input[0], c.Input[1], c.Input[2]))
	m.Forward(b, x, c)
	src.Layout.Norms = b.Norms
	return src.Layout
}
