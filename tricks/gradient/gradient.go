// Package gradient holds what a recipe says of the gradient between backward
// pass and update rule: L1 regularisation and three ways of clipping. All of it
// is computed in the training graph, by graphs/optimizer.
package gradient

import "github.com/ortrain/ortrain/tricks/strict"

// Options are the recipe's keys; 0 turns a trick off.
type Options struct {
	// L1 is the factor of the sum of magnitudes in the loss.
	L1 float64 `yaml:"l1,omitempty"`
	// AGC is the largest ratio of the norms of a unit's gradient and weights.
	AGC float64 `yaml:"agc,omitempty"`
	// ClipValue is the largest magnitude of an element.
	ClipValue float64 `yaml:"clip_value,omitempty"`
	// ClipNorm is the largest norm of the whole gradient.
	ClipNorm float64 `yaml:"clip_norm,omitempty"`
}

// least is the smallest positive number that the graph, in float32, tells from
// 0.
const least = 1e-37

func (o Options) values() []struct {
	key   string
	value float64
} {
	return []struct {
		key   string
		value float64
	}{{"l1", o.L1}, {"agc", o.AGC}, {"clip_value", o.ClipValue}, {"clip_norm", o.ClipNorm}}
}

// Validate reports a value out of range, as a *strict.Error.
func (o Options) Validate() error {
	for _, v := range o.values() {
		switch {
		case !(v.value >= 0):
			return strict.Errorf(v.key, "must be above 0, or 0 for none, got %v", v.value)
		case v.value > 0 && v.value < least, v.value > 1/least:
			return strict.Errorf(v.key, "is beyond the range of single precision, got %v", v.value)
		}
	}
	return nil
}

// Active returns the values of the tricks that are on, by name.
func (o Options) Active() map[string]float64 {
	on := map[string]float64{}
	for _, v := range o.values() {
		if v.value > 0 {
			on[v.key] = v.value
		}
	}
	return on
}
