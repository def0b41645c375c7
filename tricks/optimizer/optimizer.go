// Package optimizer documents the update rules: the card of each, and the
// defaults of the keys that every recipe has. The rules themselves are emitted
// into the training graph by graphs/optimizer, under the same names.
package optimizer

import "github.com/ortrain/ortrain/tricks"

// Rule holds the defaults of a rule for the recipe's own keys.
type Rule struct {
	// Momentum is nil for a rule that has none.
	Momentum    *float64
	WeightDecay float64
}

var rules = map[string]Rule{}

func register(name, summary, card string, r Rule) {
	tricks.Register(tricks.Trick{Name: name, Kind: tricks.Optimizer, Summary: summary, Card: card})
	rules[name] = r
}

func value(x float64) *float64 { return &x }

// Lookup returns the defaults of the named rule; ok is false for a name that
// is not documented here.
func Lookup(name string) (r Rule, ok bool) {
	r, ok = rules[name]
	if ok && r.Momentum != nil {
		r.Momentum = value(*r.Momentum)
	}
	return r, ok
}
