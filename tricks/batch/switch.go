package batch

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Choice is one of the tricks that a switch chooses from.
type Choice struct {
	// Name is that of the trick; it also names its random stream.
	Name string
	// P is the share of the batches that the trick mixes, in [0, 1].
	P float64
	// OffEpochs is the number of epochs at the end of the run in which the
	// trick rests: its batches then stay as they are.
	OffEpochs int
	// Mixer is the trick; nil mixes nothing.
	Mixer Mixer
}

// Switch chooses, for every batch anew, one of several tricks or none. It is
// immutable and safe for concurrent use.
type Switch struct {
	choices []Choice
	keys    []rng.Key
	epochs  int
}

var choiceKey = rng.NewKey("mix")

// slack is what shares such as three times 0.333… may exceed 1 by.
const slack = 1e-9

// NewSwitch returns the switch of a run of the given number of epochs. The
// error about a choice is a *strict.Error whose key starts with its number.
func NewSwitch(epochs int, choices ...Choice) (*Switch, error) {
	s := &Switch{choices: choices, epochs: epochs}
	sum := 0.0
	uses := map[string]int{}
	for i, c := range choices {
		if !(c.P >= 0 && c.P <= 1) {
			return nil, strict.Errorf(fmt.Sprintf("%d.p", i), "must be 0 to 1, got %v", c.P)
		}
		if c.OffEpochs < 0 || c.OffEpochs > epochs {
			return nil, strict.Errorf(fmt.Sprintf("%d.off_epochs", i), "must be 0 to the run's %d epochs, got %d", epochs, c.OffEpochs)
		}
		if sum += c.P; sum > 1+slack {
			return nil, contradiction(choices[:i+1], sum)
		}
		s.keys = append(s.keys, rng.NewKey(c.Name).Nth(uses[c.Name]))
		uses[c.Name]++
	}
	return s, nil
}

// contradiction names the two tricks that claim the same batches.
func contradiction(choices []Choice, sum float64) error {
	last := choices[len(choices)-1]
	other := choices[0]
	for _, c := range choices[:len(choices)-1] {
		if c.P > other.P {
			other = c
		}
	}
	return strict.Errorf(fmt.Sprintf("%d.p", len(choices)-1),
		"%s (p %.4g) and %s (p %.4g) claim the same batches: a batch is mixed by one of them, and the p of all must sum to at most 1, not %.4g",
		other.Name, other.P, last.Name, last.P, sum)
}

// Sample chooses the trick of a batch, fills its draw and returns it with its
// name. A nil Mixer leaves the batch as it is. What is random depends on the
// seed, the epoch and the batch's number in it only.
func (s *Switch) Sample(r *rng.Stream, seed uint64, epoch, index int, shape Shape, d *Draw) (Mixer, string) {
	r.Reset(seed, epoch, index, choiceKey)
	u := r.Float64()
	for i := range s.choices {
		c := &s.choices[i]
		if u -= c.P; u >= 0 && (i < len(s.choices)-1 || u > slack) {
			continue
		}
		if c.Mixer == nil || c.P == 0 || epoch >= s.epochs-c.OffEpochs {
			return nil, ""
		}
		r.Reset(seed, epoch, index, s.keys[i])
		c.Mixer.Sample(r, shape, d)
		return c.Mixer, c.Name
	}
	return nil, ""
}

// NeedsFloats names the first trick that blends values, which 8-bit ones cannot
// hold; empty if all only move pixels.
func (s *Switch) NeedsFloats() string {
	for i := range s.choices {
		c := &s.choices[i]
		if _, ok := c.Mixer.(Paster); !ok && c.Mixer != nil && c.P > 0 {
			return c.Name
		}
	}
	return ""
}
