package recipe

import (
	"github.com/ortrain/ortrain/tricks/average"
	"github.com/ortrain/ortrain/tricks/sampling"
	"github.com/ortrain/ortrain/tricks/stopping"
	"github.com/ortrain/ortrain/tricks/strict"
)

// The tricks that act on a run as a whole: the sampling of its epochs, averages
// of the weights and stopping rules.

// averageOptions returns nil when the recipe averages nothing.
func (r *Recipe) averageOptions() (average.Options, error) {
	return optional("average", r.Average, average.Averagers.Defaults)
}

// stopOptions returns nil when the recipe has no stopping rule.
func (r *Recipe) stopOptions() (stopping.Options, error) {
	return optional("stop", r.Stop, stopping.Rules.Defaults)
}

// samplingOptions returns nil when an epoch shows every image once.
func (r *Recipe) samplingOptions() (sampling.Options, error) {
	return optional("sampling", r.Sampling, sampling.Samplings.Defaults)
}

// optional decodes the options of a trick that a recipe may name.
func optional[T validator](key string, s Step, defaults func(string) (T, error)) (T, error) {
	var none T
	if s.IsZero() {
		return none, nil
	}
	if s.Name == "" {
		return none, strict.Errorf(key, "needs a name")
	}
	o, err := defaults(s.Name)
	if err != nil {
		return none, strict.Within(key+".name", err)
	}
	return o, decode(key, s.Options, s, o)
}

func (r *Recipe) resolveRun() error {
	avg, err := r.averageOptions()
	if err != nil {
		return err
	}
	if avg != nil {
		if r.Average.Options, err = encode(avg); err != nil {
			return err
		}
	}
	sample, err := r.samplingOptions()
	if err != nil {
		return err
	}
	if sample != nil {
		if r.Sampling.Options, err = encode(sample); err != nil {
			return err
		}
	}
	stop, err := r.stopOptions()
	if err != nil {
		return err
	}
	if stop != nil && r.Average.Name == "swa" {
		return strict.Errorf("stop", "%s may end the run before the weights that average: swa collects; remove one of the two", r.Stop.Name)
	}
	if stop != nil {
		if r.Stop.Options, err = encode(stop); err != nil {
			return err
		}
	}
	return nil
}

// BuildAverage returns the average of the weights that the recipe asks for, or
// nil. The recipe must be resolved.
func (r *Recipe) BuildAverage() (average.Averager, error) {
	o, err := r.averageOptions()
	if o == nil || err != nil {
		return nil, err
	}
	return o.Build(), nil
}

// BuildStop returns the recipe's stopping rule, or nil. The recipe must be
// resolved.
func (r *Recipe) BuildStop() (stopping.Rule, error) {
	o, err := r.stopOptions()
	if o == nil || err != nil {
		return nil, err
	}
	return o.Build(), nil
}

// Parts returns the number of equal parts that a step's images are taken in.
func (r *Recipe) Parts() int { return max(1, r.Accumulate) }

// BuildSampling returns how the recipe samples a set of training images, or nil
// for every image once an epoch. The recipe must be resolved.
func (r *Recipe) BuildSampling(info sampling.Info) (sampling.Sampling, error) {
	o, err := r.samplingOptions()
	if o == nil || err != nil {
		return nil, err
	}
	s, err := o.Build(info)
	return s, strict.Locate(strict.Within("sampling", err), r.file, r.lines)
}
