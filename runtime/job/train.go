package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/atomicfile"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/stopping"
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
	aside     aside
	teachers  *runtime.Ensemble // nil without
	cache     *answerCache      // of the teachers' answers; nil without
	soft      []float32         // the teacher's logits of a step
	stopped   bool              // the stopping rule has ended the run
	trained   time.Duration     // time of this session's training, without evaluation
	initial   *artifact.State   // what a new run starts from; nil for the manifest's own

	start    data.Position
	sums     sums
	begun    time.Time
	stepTime movingAverage
	evalTime float64 // seconds of the last evaluation
}

// sums adds up an epoch's training figures; a checkpoint within the epoch
// keeps them.
type sums struct {
	Loss    float64 `json:"loss"`
	Correct int     `json:"correct"`
	Images  int     `json:"images"`
}

// position is what a checkpoint keeps beside the vectors.
type position struct {
	Sums     *sums           `json:"epoch,omitempty"`
	Schedule json.RawMessage `json:"schedule,omitempty"`
	Stopping *stopping.State `json:"stopping,omitempty"`
	Stopped  bool            `json:"stopped,omitempty"`
	// Deploy says which weights to export: "average", "best", or those that
	// were trained.
	Deploy string `json:"deploy,omitempty"`
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
	if err := t.prepare(); err != nil {
		return Result{}, err
	}
	return t.train(ctx)
}

// prepare checks and opens everything; the run folder is written to last.
func (t *run) prepare() error {
	c := t.cfg
	if err := checkOut(c.Out, c.Resume); err != nil {
		return err
	}
	r := c.Recipe
	if r == nil {
		if !c.Resume {
			return errors.New("no recipe given")
		}
		var err error
		if r, err = recipe.Load(filepath.Join(c.Out, RecipeFile)); err != nil {
			return fmt.Errorf("cannot resume: %w", err)
		}
	}
	kept := ""
	if c.Resume {
		kept = c.Out
	}
	r, source, err := resolve(r, kept)
	if err != nil {
		return err
	}
	if err := identifyTeachers(r); err != nil {
		return err
	}
	t.recipe = r
	if t.data == nil {
		if t.data, err = openData(r); err != nil {
			return err
		}
	}
	if t.hash, err = r.Hash(); err != nil {
		return err
	}
	for _, p := range t.data.Problems {
		c.Reporter.Note("left out: " + p.String())
	}
	t.held, t.heldName = t.data.Test, "test"
	if t.data.Validation != nil {
		t.held, t.heldName = t.data.Validation, "validation"
	}
	if err := data.CheckTraining(t.data, r); err != nil {
		return err
	}
	if t.perEpoch, err = stepsPerEpoch(r, t.data); err != nil {
		return err
	}
	if t.schedule, err = r.BuildSchedule(t.perEpoch); err != nil {
		return err
	}
	if t.aside.averager, err = r.BuildAverage(); err != nil {
		return err
	}
	if t.aside.rule, err = r.BuildStop(); err != nil {
		return err
	}
	if t.lib, err = openLibrary(c.Library); err != nil {
		return err
	}
	if t.teachers, err = openTeachers(r, t.data); err != nil {
		return err
	}
	spec, err := specification(r, t.data, source)
	if err != nil {
		return err
	}
	set, err := artifact.Build(spec)
	if err != nil {
		return err
	}
	if !c.Resume {
		if t.initial, err = initialState(r, set.Manifest, source, c.Reporter.Note); err != nil {
			return err
		}
	}
	// A checkpoint that does not fit must be found before anything is written.
	var saved *runtime.Checkpoint
	if c.Resume {
		if saved, err = runtime.ReadCheckpoint(filepath.Join(c.Out, CheckpointFile), set.Manifest); err != nil {
			return fmt.Errorf("cannot resume: %w", err)
		}
		if saved.RecipeHash != t.hash {
			return fmt.Errorf("cannot resume: the recipe differs from the one in %s that the run began with; resume without changes, or start a new run", filepath.Join(c.Out, RecipeFile))
		}
	}
	if err := t.write(set); err != nil {
		return err
	}
	if err := t.open(saved); err != nil {
		t.close()
		return err
	}
	return nil
}

// write lays out the run folder.
func (t *run) write(set *artifact.Set) error {
	if t.cfg.begin != nil {
		if err := t.cfg.begin(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(t.cfg.Out, 0o755); err != nil {
		return fmt.Errorf("cannot make output folder %s: %w", t.cfg.Out, err)
	}
	if err := set.Write(filepath.Join(t.cfg.Out, ArtifactsDir)); err != nil {
		return err
	}
	text, err := t.recipe.Marshal()
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(t.cfg.Out, RecipeFile), text)
}

// open makes the sessions and brings them to the checkpoint, if there is one.
func (t *run) open(saved *runtime.Checkpoint) error {
	dir := filepath.Join(t.cfg.Out, ArtifactsDir)
	opts := runtime.Options{Provider: t.recipe.Provider, Threads: t.recipe.Threads}
	var err error
	if t.trainer, err = runtime.NewTrainer(dir, opts); err != nil {
		return err
	}
	if t.evaluator, err = runtime.NewEvaluator(dir, opts); err != nil {
		return err
	}
	m := t.trainer.Manifest()
	fixed, err := hyper(t.recipe, m)
	if err != nil {
		return err
	}
	values, err := t.trainer.Hyper(fixed)
	if err != nil {
		return err
	}
	if t.hyper, err = newFeed(values, m); err != nil {
		return err
	}
	if t.initial != nil {
		if err := t.trainer.SetState(t.initial); err != nil {
			return err
		}
		t.initial = nil
	}
	if err := t.hyper.teach(t.recipe, m, t.recipe.Epochs*t.perEpoch); err != nil {
		return err
	}
	t.aside.begin(t.trainer.View(), t.trainer.Manifest().MovingCount())
	if saved != nil {
		if err := t.restore(saved); err != nil {
			return fmt.Errorf("cannot resume: %s: %w", filepath.Join(t.cfg.Out, CheckpointFile), err)
		}
	}
	t.log, err = metrics.Open(filepath.Join(t.cfg.Out, MetricsFile), t.start.Epoch)
	return err
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
	if p.Sums != nil {
		t.sums = *p.Sums
	}
	if p.Stopping != nil {
		t.aside.stopping = *p.Stopping
	}
	t.stopped = p.Stopped
	if err := t.aside.load(c); err != nil {
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

func (t *run) close() {
	t.cache.close()
	t.teachers.Close()
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.evaluator != nil {
		t.evaluator.Close()
	}
}

func (t *run) plan() Plan {
	m := t.trainer.Manifest()
	workers := t.recipe.Data.Workers
	return Plan{
		Model: m.Model.Name, Optimizer: m.Optimizer.Name, Dataset: t.data.Name,
		Parameters: m.ParamCount(), FLOPs: m.Model.FLOPs,
		TrainImages: t.data.Train.Len(), TestImages: t.held.Len(),
		Epochs: t.recipe.Epochs, StepsPerEpoch: t.perEpoch, Batch: t.recipe.Batch,
		Threads: threads(t.recipe.Threads), Workers: workers,
		FirstEpoch: t.start.Epoch, FirstStep: t.start.Batch,
		Library: fmt.Sprintf("%s (%s)", t.lib.Version, t.lib.Path), Out: t.cfg.Out,
	}
}

// train runs the epochs that are left.
func (t *run) train(ctx context.Context) (Result, error) {
	t.begun = time.Now()
	t.cfg.Reporter.Start(t.plan())
	last := t.recipe.Epochs
	if s := t.cfg.StopAfter; s > 0 {
		last = min(last, s)
	}
	res := Result{Out: t.cfg.Out}
	if t.start.Epoch < last && !t.stopped {
		supply, err := t.supply(ctx)
		if err != nil && ctx.Err() != nil {
			// What was kept of the teacher's answers shortens the next attempt.
			return res, errors.Join(context.Cause(ctx), t.checkpoint(t.start))
		}
		if err != nil {
			return res, err
		}
		defer supply.Close()
		for epoch := t.start.Epoch; epoch < last && !t.stopped; epoch++ {
			e, err := t.epoch(ctx, supply, epoch)
			if err != nil {
				return res, err
			}
			res.Last = e
		}
		res.Loading = supply.report(data.Timing{}, waits{}, t.trained)
	}
	res.Done = last >= t.recipe.Epochs || t.stopped
	res.Seconds = time.Since(t.begun).Seconds()
	// A session that found nothing left to train reports what the run reached.
	if rows := t.log.Epochs(); res.Last.Epochs == 0 && len(rows) > 0 {
		res.Last = t.fromRow(rows[len(rows)-1])
	}
	return res, t.finish()
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

// checkpoint saves the run at a position.
func (t *run) checkpoint(at data.Position) error {
	c := t.trainer.Snapshot()
	c.Epoch, c.Batch, c.Seed, c.RecipeHash, c.BestAccuracy = at.Epoch, at.Batch, t.recipe.Seed, t.hash, t.best
	t.aside.save(c)
	p := position{Stopped: t.stopped}
	if at.Batch > 0 {
		p.Sums = &t.sums
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
	return runtime.WriteCheckpoint(filepath.Join(t.cfg.Out, CheckpointFile), t.trainer.Manifest(), c)
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
