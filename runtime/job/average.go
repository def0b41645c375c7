package job

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/average"
	"github.com/ortrain/ortrain/tricks/stopping"
)

// The names of a checkpoint's further vectors.
const (
	averageParams = "average.params"
	averageStats  = "average.stats"
	bestParams    = "best.params"
	bestStats     = "best.stats"
)

// aside is what a run keeps beside the state that is trained: the average of
// the weights, and the best epoch's weights. Either may be absent. Its states
// have no slots.
type aside struct {
	averager average.Averager
	average  *artifact.State
	rule     stopping.Rule
	stopping stopping.State
	best     *artifact.State
	// moving is how many of the statistics training changes; the others are
	// frozen and must not be rounded by an average.
	moving int
}

// withoutSlots copies a state without the slots.
func withoutSlots(s *artifact.State) *artifact.State {
	return &artifact.State{Params: slices.Clone(s.Params), Stats: slices.Clone(s.Stats)}
}

// begin starts the average at the initial weights, of whose statistics the
// first are moving.
func (a *aside) begin(initial *artifact.State, moving int) {
	a.moving = moving
	if a.averager != nil {
		a.average = withoutSlots(initial)
	}
}

// step follows an optimizer step, number n from 0.
func (a *aside) step(s *artifact.State, n int) {
	if a.averager == nil {
		return
	}
	share := a.averager.Share(n)
	if share == 0 {
		return
	}
	average.Towards(a.average.Params, s.Params, share)
	if !a.averager.RecomputeStats() {
		average.Towards(a.average.Stats[:a.moving], s.Stats[:a.moving], share)
	}
}

// lead hands the average to a trainer that keeps it itself.
func (a *aside) lead(t *runtime.Trainer) error {
	if !t.Manifest().Average {
		return nil
	}
	return t.SetAverage(a.average.Params, a.average.Stats[:a.moving])
}

// follow takes over the average of a trainer that keeps it itself.
func (a *aside) follow(t *runtime.Trainer) {
	params, stats := t.Average()
	copy(a.average.Params, params)
	copy(a.average.Stats, stats)
}

// save adds the vectors to a checkpoint.
func (a *aside) save(c *runtime.Checkpoint) {
	put := func(name string, v []float32) {
		if len(v) == 0 {
			return
		}
		if c.Extra == nil {
			c.Extra = map[string][]float32{}
		}
		c.Extra[name] = v
	}
	if a.average != nil {
		put(averageParams, a.average.Params)
		put(averageStats, a.average.Stats)
	}
	if a.best != nil {
		put(bestParams, a.best.Params)
		put(bestStats, a.best.Stats)
	}
}

// load takes the vectors from a checkpoint.
func (a *aside) load(c *runtime.Checkpoint) error {
	get := func(params, stats string) (*artifact.State, error) {
		s := &artifact.State{Params: c.Extra[params], Stats: c.Extra[stats]}
		if len(s.Params) != len(c.State.Params) || len(s.Stats) != len(c.State.Stats) {
			return nil, errors.New("its " + params + " do not fit its parameters")
		}
		return s, nil
	}
	var err error
	if a.averager != nil {
		if a.average, err = get(averageParams, averageStats); err != nil {
			return err
		}
	}
	if a.rule != nil && a.stopping.Any && a.rule.RestoreBest() {
		a.best, err = get(bestParams, bestStats)
	}
	return err
}

// useful returns the weights that are evaluated and exported after a number of
// complete epochs.
func (t *run) useful(epochsDone int) *artifact.State {
	a := &t.aside
	if a.averager != nil && a.averager.Started(epochsDone, t.recipe.Epochs) {
		return a.average
	}
	return t.trainer.View()
}

// usefulWeights returns the weights of a checkpoint that are to be exported.
func usefulWeights(c *runtime.Checkpoint, p position) *artifact.State {
	var s *artifact.State
	switch p.Deploy {
	case "best":
		s = &artifact.State{Params: c.Extra[bestParams], Stats: c.Extra[bestStats]}
	case "average":
		s = &artifact.State{Params: c.Extra[averageParams], Stats: c.Extra[averageStats]}
	default:
		return c.State
	}
	s.Slots = c.State.Slots
	return s
}

// endEpoch completes the average after an epoch (from 0) and makes its
// statistics fit, if they have to be measured.
func (t *run) endEpoch(ctx context.Context, epoch int) error {
	a := &t.aside
	if a.averager == nil {
		return nil
	}
	v := t.trainer.View()
	a.average = withoutSlots(a.average)
	a.averager.EpochEnd(a.average.Params, v.Params, epoch, t.recipe.Epochs)
	if !a.averager.RecomputeStats() {
		a.averager.EpochEnd(a.average.Stats[:a.moving], v.Stats[:a.moving], epoch, t.recipe.Epochs)
		return nil
	}
	if !a.averager.Started(epoch+1, t.recipe.Epochs) || a.moving == 0 {
		return nil
	}
	t.cfg.Reporter.Note("measuring the norms' statistics for the averaged weights")
	return t.measure(ctx, epoch)
}

// measure sets the average's statistics to the mean of the batches' statistics
// over one pass through the training images, as an epoch draws them. The step
// graph itself measures them: from running statistics of zero it returns
// StatMomentum times the batch's. The trained state is put back afterwards.
func (t *run) measure(ctx context.Context, epoch int) error {
	a := &t.aside
	kept, steps := t.trainer.State(), t.trainer.Steps()
	defer func() {
		t.trainer.SetState(kept)
		t.trainer.SetSteps(steps)
	}()
	loader, err := data.NewTrainLoader(ctx, t.data, t.recipe, data.Position{Epoch: epoch})
	if err != nil {
		return err
	}
	defer loader.Close()
	zero := slices.Clone(kept.Stats)
	clear(zero[:a.moving])
	slots := make([][]float32, len(kept.Slots))
	for i := range slots {
		slots[i] = make([]float32, len(kept.Params))
	}
	sum := make([]float64, a.moving)
	batches := 0
	for {
		b, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if b.Epoch != epoch {
			b.Release()
			break
		}
		n, err := t.measureBatch(b, &artifact.State{Params: a.average.Params, Slots: slots, Stats: zero, LossScale: artifact.NoLossScale(t.trainer.Manifest())}, sum)
		b.Release()
		if err != nil {
			return err
		}
		batches += n
		t.cfg.Reporter.Evaluating(batches, t.perEpoch*t.recipe.Parts())
	}
	for i, v := range sum {
		a.average.Stats[i] = float32(v / float64(batches) / artifact.StatMomentum)
	}
	return nil
}

// measureBatch adds the statistics of every part of a batch to sum and returns
// the number of parts.
func (t *run) measureBatch(b *data.Batch, state *artifact.State, sum []float64) (int, error) {
	parts := t.recipe.Parts()
	for i := range parts {
		if err := t.trainer.SetState(state); err != nil {
			return 0, err
		}
		in := cut(whole(b, nil), i, parts)
		if t.recipe.Distils() {
			in.Teacher = in.Targets // the statistics do not depend on it
		}
		if _, err := t.trainer.StepInputs(in, t.hyper.values, 0, 1); err != nil {
			return 0, err
		}
		for k, v := range t.trainer.View().Stats[:len(sum)] {
			sum[k] += float64(v)
		}
	}
	return parts, nil
}

// judge asks the stopping rule about an epoch (from 0) and keeps the best
// weights. It reports whether the run should end.
func (t *run) judge(epoch int, loss, accuracy float64) bool {
	a := &t.aside
	if a.rule == nil {
		return false
	}
	a.rule.Observe(&a.stopping, epoch, loss, accuracy)
	if a.rule.RestoreBest() && a.stopping.BestEpoch == epoch {
		a.best = withoutSlots(t.useful(epoch + 1))
	}
	return a.rule.Stop(a.stopping)
}
