package recipe

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/strict"
)

// mixOptions returns the options of the mixing tricks in the recipe's order.
func (r *Recipe) mixOptions() ([]batch.Options, error) {
	var list []batch.Options
	for i, m := range r.Mix {
		key := fmt.Sprintf("mix.%d", i)
		if m.Name == "" {
			return nil, strict.Errorf(key, "needs a name")
		}
		o, err := batch.Mixers.Defaults(m.Name)
		if err != nil {
			if t, lookup := tricks.Lookup(m.Name); lookup == nil {
				err = fmt.Errorf("%s is no mixing trick: %s", t.Name, home(t))
			}
			return nil, strict.Within(key, err)
		}
		if err := decode(key, m.Options, m, o); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// home says where in a recipe a trick belongs that was listed under mix.
func home(t tricks.Trick) string {
	switch t.Kind {
	case tricks.Batch:
		return "it is set by data.repeats"
	case tricks.Pixel:
		return "list it under augment"
	case tricks.Target:
		return "name it under target"
	}
	return "it is of kind " + string(t.Kind)
}

// resolveMix writes the mixing tricks' shares and options out in full.
func (r *Recipe) resolveMix() error {
	list, err := r.mixOptions()
	if err != nil || len(list) == 0 {
		r.Mix = nil
		return err
	}
	if r.Batch < 2 {
		return strict.Errorf("mix", "%s has nothing to mix in a batch of 1; raise batch or leave it out", r.Mix[0].Name)
	}
	left, silent := 1.0, 0
	for _, m := range r.Mix {
		if m.P == nil {
			silent++
		} else {
			left -= *m.P
		}
	}
	for i := range r.Mix {
		m := &r.Mix[i]
		if m.P == nil {
			p := max(left, 0) / float64(silent)
			if p == 0 {
				return strict.Errorf(fmt.Sprintf("mix.%d", i), "the other tricks' p leave no batch for %s; lower them or give its p", m.Name)
			}
			m.P = &p
		}
		if m.Options, err = encode(list[i]); err != nil {
			return err
		}
	}
	_, err = r.buildMix(list)
	return err
}

// BuildMix returns the switch among the mixing tricks, or nil if there are
// none. The recipe must be resolved.
func (r *Recipe) BuildMix() (*batch.Switch, error) {
	list, err := r.mixOptions()
	if err == nil && len(list) > 0 {
		var s *batch.Switch
		if s, err = r.buildMix(list); err == nil {
			return s, nil
		}
	}
	return nil, strict.Locate(err, r.file, r.lines)
}

func (r *Recipe) buildMix(list []batch.Options) (*batch.Switch, error) {
	var choices []batch.Choice
	for i, m := range r.Mix {
		if m.P == nil {
			return nil, strict.Errorf(fmt.Sprintf("mix.%d.p", i), "missing: resolve the recipe first")
		}
		choices = append(choices, batch.Choice{Name: m.Name, P: *m.P, OffEpochs: m.OffEpochs, Mixer: list[i].Build()})
	}
	s, err := batch.NewSwitch(r.Epochs, choices...)
	return s, strict.Within("mix", err)
}
