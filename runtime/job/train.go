package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/schedule"
)

// run is a training run in progress.
type run struct {
	cfg       Config
	recipe    *recipe.Recipe
	hash      string
	data      *data.Dataset
	held      *data.Subset
	heldName  string
	lib       runtime.Library
	trainer   *runtime.Trainer
	evaluator *runtime.Evaluator
	schedule  schedule.Schedule
	hyper     feed
	log       *metrics.Log
	perEpoch  int
	best      float64
	bestAt    *bestMark // nil before the first epoch is complete
	pace      pace
	lock      *runlock.Lock
	aside     aside
	teachers  *runtime.Ensemble // nil without
	cache     *answerCache      // of the teachers' answers; nil without
	soft      []float32         // the teacher's logits of a step
	stopped   bool              // the stopping rule has ended the run
	trained   time.Duration     // time of this session's training, without evaluation
	initial   *artifact.State   // what a new run starts from; nil for the manifest's own
	resume    resumption        // what --resume auto found

	spec    artifact.Spec // of the artifacts
	trouble trouble

	start    data.Position
	sums     sums
	broken   []int // the training images found broken so far, in order
	begun    time.Time
	stepTime movingAverage
	evalTime float64 // seconds of the last evaluation
}

// Train carries out a run: it checks everything that can be checked, builds
// the artifacts, trains, evaluates after every epoch, and writes the run
// folder. Cancelling ctx finishes the step, writes a checkpoint and returns an
// error wrapping ctx's cause; so does a failure after the first step that
// leaves the state sound.
func Train(ctx context.Context, c Config) (Result, error) {
	if c.Reporter == nil {
		c.Reporter = silent{}
	}
	if r := c.chain(); r != nil {
		return trainChain(ctx, c, r)
	}
	return trainOne(ctx, c, nil)
}

// trainOne carries out a single run, on a data set that is open already, by a
// recipe that has been completed by it, or, if it is nil, on the recipe's.
func trainOne(ctx context.Context, c Config, d *data.Dataset) (Result, error) {
	t := &run{cfg: c, data: d}
	defer t.close()
	if err := t.prepare(ctx); err != nil {
		return Result{}, err
	}
	return t.train(ctx)
}

func (t *run) close() {
	t.cache.close()
	t.teachers.Close()
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.evaluator != nil {
		t.evaluator.Close()
	}
	t.lock.Release()
}

func (t *run) plan() Plan {
	m := t.trainer.Manifest()
	workers := t.recipe.Data.Workers
	return Plan{
		Model: m.Model.Name, Optimizer: m.Optimizer.Name, Dataset: t.data.Name,
		Parameters: m.ParamCount(), FLOPs: m.Model.FLOPs,
		TrainImages: t.data.Train.Len(), TestImages: t.held.Len(),
		Epochs: t.recipe.Epochs, StepsPerEpoch: t.perEpoch, Batch: t.recipe.Batch, Mixed: t.recipe.Precision.Mixed(),
		Threads: sessions(t.recipe).ThreadCount(), Workers: workers,
		FirstEpoch: t.start.Epoch, FirstStep: t.start.Batch,
		Library: fmt.Sprintf("%s (%s)", t.lib.Version, t.lib.Path), Out: t.cfg.Out,
	}
}

// train runs the epochs that are left.
func (t *run) train(ctx context.Context) (Result, error) {
	t.begun = time.Now()
	t.pace = newPace(t.recipe.Checkpoint.Minutes, t.cfg.clock)
	t.cfg.Reporter.Start(t.plan())
	last := t.recipe.Epochs
	if s := t.cfg.StopAfter; s > 0 {
		last = min(last, s)
	}
	res := Result{Out: t.cfg.Out}
	if t.recipe.NonFinite.Policy == recipe.RollBack && t.start == (data.Position{}) {
		if err := t.checkpoint(t.start); err != nil {
			return res, err
		}
	}
	for t.start.Epoch < last && !t.stopped {
		err := t.epochs(ctx, last, &res)
		if err == nil {
			break
		}
		if err := t.rollBack(err); err != nil {
			return res, err
		}
	}
	res.Done = last >= t.recipe.Epochs || t.stopped
	res.Seconds = time.Since(t.begun).Seconds()
	// A session that found nothing left to train reports what the run reached.
	if rows := t.log.Epochs(); res.Last.Epochs == 0 && len(rows) > 0 {
		res.Last = t.fromRow(rows[len(rows)-1])
	}
	return res, t.finish()
}

// epochs trains from the run's position to before epoch last.
func (t *run) epochs(ctx context.Context, last int, res *Result) error {
	supply, err := t.supply(ctx)
	if err != nil && ctx.Err() != nil {
		// What was kept of the teacher's answers shortens the next attempt.
		return errors.Join(context.Cause(ctx), t.checkpoint(t.start))
	}
	if err != nil {
		return err
	}
	defer supply.Close()
	for epoch := t.start.Epoch; epoch < last && !t.stopped; epoch++ {
		if res.Last, err = t.epoch(ctx, supply, epoch); err != nil {
			return err
		}
	}
	res.Loading = supply.report(data.Timing{}, waits{}, t.trained)
	return nil
}

// finish writes what can be made from the state: the model and the curves.
func (t *run) finish() error {
	rows := t.log.Epochs()
	state := t.useful(len(rows))
	if t.aside.best != nil && (t.stopped || len(rows) >= t.recipe.Epochs) {
		state = t.aside.best
		t.cfg.Reporter.Note(fmt.Sprintf("the model is that of epoch %d, the best", t.aside.stopping.BestEpoch+1))
	}
	model, err := t.trainer.Manifest().InferModel(state.Params, state.Stats, modelInfo(t.recipe, t.data).Metadata())
	if err != nil {
		return err
	}
	b, err := artifact.Encode(model)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(t.cfg.Out, ModelFile), b); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	curves := metrics.Curves{
		Title:  fmt.Sprintf("%s on %s", t.recipe.Model.Name, t.data.Name),
		Epochs: rows,
	}
	steps := rows[len(rows)-1].Epoch * t.perEpoch
	for s := 0; s < steps; s += max(1, steps/500) {
		curves.LearningRate = append(curves.LearningRate,
			metrics.LRPoint{Epoch: float64(s) / float64(t.perEpoch), LR: t.schedule.LR(s)})
	}
	return curves.Write(filepath.Join(t.cfg.Out, CurvesFile))
}

func (t *run) fromRow(m metrics.Epoch) Epoch {
	return Epoch{
		Progress: Progress{
			Epoch: m.Epoch - 1, Epochs: t.recipe.Epochs, Step: t.perEpoch, StepsPerEpoch: t.perEpoch,
			Loss: m.TrainLoss, Accuracy: m.TrainAccuracy, LR: m.LR,
			ImagesPerSecond: m.ImagesPerSecond, WaitShare: m.WaitShare,
			Taught: t.recipe.Distils(), TeacherWaitShare: m.TeacherWaitShare},
		TestLoss: m.TestLoss, Top1: m.TestAccuracy, Top5: m.TestTop5, HeldOut: t.heldName, Seconds: m.Seconds,
	}
}

// movingAverage smooths the duration of a step for the time that is left.
type movingAverage float64

func (a *movingAverage) add(x float64) {
	if *a == 0 {
		*a = movingAverage(x)
		return
	}
	*a += movingAverage(0.05 * (x - float64(*a)))
}

func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return math.Min(1, part/whole)
}

// silent is the Reporter of callers that want none.
type silent struct{}

func (silent) Start(Plan)          {}
func (silent) Step(Progress)       {}
func (silent) Evaluating(_, _ int) {}
func (silent) Epoch(Epoch)         {}
func (silent) Note(string)         {}
