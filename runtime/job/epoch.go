package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/schedule"
)

// epoch trains one epoch, or what is left of it, evaluates and saves.
func (t *run) epoch(ctx context.Context, supply *supply, epoch int) (Epoch, error) {
	begun, before, timing := time.Now(), supply.waited(), supply.loader.Timing()
	first := 0
	if epoch == t.start.Epoch {
		first = t.start.Batch
	}
	if first == 0 {
		t.sums = sums{}
	}
	// state says where the epoch stands after a number of steps.
	state := func(step int) Progress {
		done, elapsed := step-first, time.Since(begun).Seconds()
		return Progress{
			Epoch: epoch, Epochs: t.recipe.Epochs, Step: step, StepsPerEpoch: t.perEpoch,
			Loss: t.sums.Loss / float64(max(1, t.sums.Images)), Accuracy: share(float64(t.sums.Correct), float64(t.sums.Images)),
			LR: t.sums.LR, ImagesPerSecond: float64(done*t.recipe.Batch) / elapsed,
			WaitShare: share((supply.waited().data - before.data).Seconds(), elapsed),
			Taught:    t.recipe.Distils(), TeacherWaitShare: share((supply.waited().teacher - before.teacher).Seconds(), elapsed),
			Left: t.left(epoch, step),
		}
	}
	for step := first; step < t.perEpoch; {
		if ctx.Err() != nil {
			return Epoch{}, t.stop(ctx, data.Position{Epoch: epoch, Batch: step})
		}
		stepBegun := time.Now()
		n, err := t.steps(ctx, supply)
		if err != nil {
			if ctx.Err() != nil {
				return Epoch{}, t.stop(ctx, data.Position{Epoch: epoch, Batch: step})
			}
			return Epoch{}, t.fail(epoch, t.lessMemory(err))
		}
		step += n
		t.stepTime.add(time.Since(stepBegun).Seconds() / float64(n))
		t.cfg.Reporter.Step(state(step))
		if err := t.saveInTime(data.Position{Epoch: epoch, Batch: step}); err != nil {
			return Epoch{}, err
		}
	}
	t.trained += time.Since(begun)
	e := Epoch{Progress: state(t.perEpoch), HeldOut: t.heldName, Loading: supply.report(timing, before, time.Since(begun))}
	average := t.aside.average
	err := t.endEpoch(ctx, epoch)
	var score runtime.Score
	if err == nil {
		score, err = t.evaluate(ctx, t.useful(epoch+1))
	}
	if err != nil {
		if ctx.Err() != nil {
			// The epoch will be ended again after the resume.
			t.aside.average = average
			return e, t.stop(ctx, data.Position{Epoch: epoch, Batch: t.perEpoch})
		}
		return e, fmt.Errorf("evaluation after epoch %d: %w", epoch+1, err)
	}
	e.TestLoss, e.Top1 = score.MeanLoss(), score.Accuracy()
	if score.Samples > 0 {
		e.Top5 = float64(score.Top5) / float64(score.Samples)
	}
	e.Seconds = time.Since(begun).Seconds()
	t.noteOverflows()
	improved := t.better(epoch, e.Top1)
	if t.stopped = t.judge(epoch, e.TestLoss, e.Top1); t.stopped {
		t.cfg.Reporter.Note(fmt.Sprintf("stopping early: no improvement since epoch %d", t.aside.stopping.BestEpoch+1))
	}
	schedule.Observe(t.schedule, int(t.trainer.Steps()), schedule.Metrics{
		schedule.ValidationLoss: e.TestLoss, schedule.ValidationError: 1 - e.Top1})
	if err := t.log.Append(metrics.Epoch{
		Epoch: epoch + 1, Step: t.trainer.Steps(), LR: e.LR,
		TrainLoss: e.Loss, TrainAccuracy: e.Accuracy,
		TestLoss: e.TestLoss, TestAccuracy: e.Top1, TestTop5: e.Top5,
		ImagesPerSecond: e.ImagesPerSecond, WaitShare: e.WaitShare, Seconds: e.Seconds,
		TeacherWaitShare: e.TeacherWaitShare, Skipped: float64(t.sums.Skipped), LossScale: t.lossScale(),
	}); err != nil {
		return e, err
	}
	if n := epoch + 1; n%t.recipe.Checkpoint.Every == 0 || n == t.recipe.Epochs || n == t.cfg.StopAfter || t.stopped ||
		improved && t.recipe.Checkpoint.KeepBest {
		if err := t.checkpoint(data.Position{Epoch: n}); err != nil {
			return e, err
		}
	}
	t.cfg.Reporter.Epoch(e)
	return e, nil
}

// left estimates the time to the end of the run, evaluations included at the
// rate of the last one.
func (t *run) left(epoch, step int) time.Duration {
	steps := (t.recipe.Epochs-epoch)*t.perEpoch - step
	s := float64(steps)*float64(t.stepTime) + float64(t.recipe.Epochs-epoch)*t.evalTime
	return time.Duration(s * float64(time.Second))
}

// evalBatch is the number of images evaluated at a time.
const evalBatch = 256

// evaluate scores the held-out images with the given weights.
func (t *run) evaluate(ctx context.Context, state *artifact.State) (runtime.Score, error) {
	begun := time.Now()
	loader, err := data.NewEvalLoader(ctx, t.held, t.recipe, evalBatch, t.evaluator.TakesBytes())
	if err != nil {
		return runtime.Score{}, err
	}
	defer loader.Close()
	loader.OnBroken(func(err error) { t.cfg.Reporter.Note(leftOut(err)) })
	score, err := t.evaluator.Evaluate(state, batches(ctx, loader, func(done int) {
		t.cfg.Reporter.Evaluating(done, t.held.Len())
	}))
	t.evalTime = time.Since(begun).Seconds()
	return score, err
}

// stop saves the run where it was interrupted and returns why it was.
func (t *run) stop(ctx context.Context, at data.Position) error {
	cause := context.Cause(ctx)
	if at == t.start {
		return fmt.Errorf("stopped before the first step: %w", cause)
	}
	if err := t.checkpoint(at); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("stopped in epoch %d after step %d of %d, checkpoint written: %w", at.Epoch+1, at.Batch, t.perEpoch, cause)
}
