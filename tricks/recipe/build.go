package recipe

import (
	"errors"

	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/strict"
	"github.com/ortrain/ortrain/tricks/target"
)

// BaseLR returns the base learning rate after linear scaling.
func (r *Recipe) BaseLR() float64 {
	if r.Schedule.LinearScaling {
		return schedule.LinearScaling(r.Schedule.LR, r.Batch)
	}
	return r.Schedule.LR
}

// BuildSchedule returns the learning rate of every step of the run, given the
// number of optimizer steps per epoch.
func (r *Recipe) BuildSchedule(stepsPerEpoch int) (schedule.Schedule, error) {
	s, err := r.buildSchedule(stepsPerEpoch)
	return s, strict.Locate(err, r.file, r.lines)
}

func (r *Recipe) buildSchedule(stepsPerEpoch int) (schedule.Schedule, error) {
	after, err := r.scheduleOptions()
	if err != nil {
		return nil, err
	}
	warmup, err := r.warmupOptions()
	if err != nil {
		return nil, err
	}
	s, err := schedule.Plan{
		LR:            r.BaseLR(),
		Steps:         r.Epochs * stepsPerEpoch,
		StepsPerEpoch: stepsPerEpoch,
		Warmup:        warmup,
		After:         after,
	}.Build()
	return s, strict.Within("schedule", err)
}

// Measure lets the transforms of images that ask for it look at n training
// images, which read gives one by one, and records what they found in the
// recipe. The recipe must be resolved.
func (r *Recipe) Measure(n int, read func(i int, m *pixel.Image) error) error {
	steps, err := r.augmentOptions()
	if err != nil {
		return strict.Locate(err, r.file, r.lines)
	}
	for i, s := range steps {
		m, ok := s.Options.(pixel.Measurer)
		if !ok || !m.Unmeasured() {
			continue
		}
		key := fmt.Sprintf("augment.%d", i)
		if err := m.Measure(n, read); err != nil {
			return strict.Locate(strict.Errorf(key, "%v", err), r.file, r.lines)
		}
		if r.Augment[i].Options, err = encode(m); err != nil {
			return strict.Locate(strict.Within(key, err), r.file, r.lines)
		}
	}
	return nil
}

// BuildAugment returns the path of a training image of the given size: the
// recipe's transforms and normalisation, after the given transforms, if there
// are any. Of a data set whose images are of various sizes it is the path of
// images of any size, to the given one unless the first transform says
// otherwise. The recipe must be resolved.
func (r *Recipe) BuildAugment(in pixel.Size, before ...pixel.Named) (*pixel.Chain, error) {
	steps, err := r.augmentOptions()
	if err == nil {
		steps = append(before, steps...)
		var c *pixel.Chain
		if c, err = pixel.NewChain(r.info(in), steps...); err == nil {
			return c, nil
		}
		if _, ok := err.(*strict.Error); ok {
			err = strict.Within("augment", err)
		} else {
			err = strict.Within("data.mean", err)
		}
	}
	return nil, strict.Locate(err, r.file, r.lines)
}

// BuildNormalise returns the path of an image for evaluation: normalisation,
// after a resize to the given size where images are of various sizes. The
// recipe must be resolved.
func (r *Recipe) BuildNormalise(in pixel.Size) (*pixel.Chain, error) {
	info, key := r.info(in), "data.mean"
	var steps []pixel.Named
	if info.Vary {
		steps = []pixel.Named{{Name: "resize", Options: &pixel.ResizeOptions{Short: r.Data.Resize, Interpolation: "bilinear"}}}
	}
	c, err := pixel.NewChain(info, steps...)
	if e, ok := err.(*strict.Error); ok {
		key, err = "data.resize", errors.New(e.Problem)
	}
	if err != nil {
		return nil, strict.Locate(strict.Within(key, err), r.file, r.lines)
	}
	return c, nil
}

func (r *Recipe) info(in pixel.Size) pixel.Info {
	set, err := lookupDataSet(r.Data.Name)
	return pixel.Info{In: in, Vary: err == nil && set.Varying, Mean: r.Data.Mean, Std: r.Data.Std}
}

// BuildTarget returns the shaper of a data set's training targets. Without
// target tricks it is empty, and targets stay one-hot.
func (r *Recipe) BuildTarget(info target.Info) (target.Chain, error) {
	shapers, err := r.targetOptions()
	if err != nil {
		return nil, strict.Locate(err, r.file, r.lines)
	}
	chain := target.Chain{}
	for _, s := range shapers {
		shaper, err := s.options.Build(info)
		if err != nil {
			return nil, strict.Locate(strict.Within("target."+s.name, err), r.file, r.lines)
		}
		chain = append(chain, shaper)
	}
	return chain, nil
}
