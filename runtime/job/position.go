package job

import (
	"encoding/json"
	"fmt"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/stopping"
)

// sums adds up an epoch's training figures; a checkpoint within the epoch
// keeps them.
type sums struct {
	Loss    float64 `json:"loss"`
	Correct int     `json:"correct"`
	Images  int     `json:"images"`
	// LR is the learning rate of the last step.
	LR      float64 `json:"lr,omitempty"`
	Skipped int     `json:"skipped,omitempty"` // steps
	// Overflows are those of them that mixed precision skipped.
	Overflows int `json:"overflows,omitempty"`
}

// position is what a checkpoint keeps beside the vectors.
type position struct {
	Sums     *sums           `json:"epoch,omitempty"`
	Schedule json.RawMessage `json:"schedule,omitempty"`
	Stopping *stopping.State `json:"stopping,omitempty"`
	Stopped  bool            `json:"stopped,omitempty"`
	// Trouble is what steps that were not finite have led to.
	Trouble *trouble `json:"trouble,omitempty"`
	// Deploy says which weights to export: "average", "best", or those that
	// were trained.
	Deploy string `json:"deploy,omitempty"`
	// Broken are the numbers of the training images found broken so far, in
	// order: data.skip_broken limits those of the whole run.
	Broken []int `json:"broken,omitempty"`
	// Best is the epoch with the best accuracy so far.
	Best *bestMark `json:"best,omitempty"`
}

// bestMark says when the best accuracy was reached: after epoch Epoch, from 1,
// and step Step.
type bestMark struct {
	Epoch int   `json:"epoch"`
	Step  int64 `json:"step"`
}

// better takes note of the accuracy of a complete epoch (from 0) and tells
// whether it is the best so far.
func (t *run) better(epoch int, accuracy float64) bool {
	// A checkpoint of an earlier version has an accuracy without a mark.
	if !(accuracy > t.best) && (t.bestAt != nil || t.best > 0) {
		return false
	}
	t.best = max(t.best, accuracy)
	t.bestAt = &bestMark{epoch + 1, t.trainer.Steps()}
	return true
}

// saveInTime saves the run between two steps if a checkpoint by time is due.
func (t *run) saveInTime(at data.Position) error {
	if !t.pace.due() {
		return nil
	}
	return t.checkpoint(at)
}

// checkpoint saves the run at a position.
func (t *run) checkpoint(at data.Position) error {
	c := t.trainer.Snapshot()
	c.Epoch, c.Batch, c.Seed, c.RecipeHash, c.BestAccuracy = at.Epoch, at.Batch, t.recipe.Seed, t.hash, t.best
	t.aside.save(c)
	p := position{Stopped: t.stopped, Best: t.bestAt, Broken: t.broken}
	if at.Batch > 0 {
		p.Sums = &t.sums
	}
	if t.trouble != (trouble{}) {
		p.Trouble = &t.trouble
	}
	if t.aside.rule != nil {
		p.Stopping = &t.aside.stopping
	}
	switch {
	case t.aside.best != nil && (t.stopped || at.Epoch >= t.recipe.Epochs):
		p.Deploy = "best"
	case t.aside.averager != nil && t.aside.averager.Started(at.Epoch, t.recipe.Epochs):
		p.Deploy = "average"
	}
	var err error
	if p.Schedule, err = schedule.SaveState(t.schedule); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	c.Schedule = string(text)
	var best int64
	if t.bestAt != nil {
		best = t.bestAt.Step
	}
	if err := saveCheckpoint(t.cfg.Out, t.trainer.Manifest(), c, t.recipe.Checkpoint, best); err != nil {
		return err
	}
	t.pace.saved()
	return nil
}

func (t *run) restore(c *runtime.Checkpoint) error {
	if err := t.trainer.Restore(c); err != nil {
		return err
	}
	t.start = data.Position{Epoch: c.Epoch, Batch: c.Batch}
	// Batch = perEpoch: stopped between the last step and the evaluation.
	if c.Batch > t.perEpoch || c.Step != int64(c.Epoch*t.perEpoch+c.Batch) {
		return fmt.Errorf("it stands at step %d, epoch %d, batch %d, which does not fit %d steps an epoch: was it trained on other images?",
			c.Step, c.Epoch, c.Batch, t.perEpoch)
	}
	t.best = c.BestAccuracy
	p, err := readPosition(c)
	if err != nil {
		return err
	}
	t.bestAt, t.broken = p.Best, p.Broken
	if p.Sums != nil {
		t.sums = *p.Sums
	}
	if p.Stopping != nil {
		t.aside.stopping = *p.Stopping
	}
	t.stopped = p.Stopped
	t.trouble = trouble{}
	if p.Trouble != nil {
		t.trouble = *p.Trouble
	}
	if err := t.aside.load(c); err != nil {
		return err
	}
	if err := t.aside.lead(t.trainer); err != nil {
		return err
	}
	if p.Schedule != nil {
		return schedule.LoadState(t.schedule, p.Schedule)
	}
	return nil
}

func readPosition(c *runtime.Checkpoint) (p position, err error) {
	if c.Schedule == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(c.Schedule), &p); err != nil {
		return p, fmt.Errorf("its position is not readable: %w", err)
	}
	return p, nil
}
