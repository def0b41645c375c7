package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/strict"
)

// prepare checks and opens everything; the run folder is written to last.
func (t *run) prepare(ctx context.Context) error {
	if err := t.claim(); err != nil {
		return err
	}
	c := t.cfg
	r := c.Recipe
	if r == nil {
		if !c.Resume && !(c.ResumeAuto && exists(filepath.Join(c.Out, RecipeFile))) {
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
		if t.data, err = openData(ctx, r); err != nil {
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
	if err := checkMemory(r, t.data); err != nil {
		return err
	}
	if t.schedule, err = r.BuildSchedule(t.perEpoch); err != nil {
		return err
	}
	if r.StepsPerRun > 1 && schedule.WatchesSteps(t.schedule) {
		return strict.Errorf("steps_per_run", "cannot be above 1: schedule %s reacts to every single step", r.Schedule.Name)
	}
	if t.aside.averager, err = r.BuildAverage(); err != nil {
		return err
	}
	if t.aside.rule, err = r.BuildStop(); err != nil {
		return err
	}
	if t.lib, err = libraryFor(r, c.Library); err != nil {
		return err
	}
	if t.teachers, err = openTeachers(r, t.data); err != nil {
		return err
	}
	spec, err := specification(r, t.data, source)
	if err != nil {
		return err
	}
	t.spec = spec
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
	saved := t.resume.saved
	switch {
	case saved != nil:
		if err := saved.Fit(t.resume.path, set.Manifest); err != nil {
			return fmt.Errorf("cannot resume: %w", err)
		}
		err = t.sameRecipe(saved.RecipeHash)
	case c.Resume:
		if saved, err = runtime.ReadCheckpoint(t.checkpointFile(), set.Manifest); err != nil {
			return fmt.Errorf("cannot resume: %w%s", err, earlierHint(c.Out, err))
		}
		err = t.sameRecipe(saved.RecipeHash)
	case c.ResumeAuto:
		err = t.sameRecipe("")
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := t.write(set); err != nil {
		return err
	}
	t.resume.saved = nil // its memory is of use elsewhere
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
	if t.lock == nil {
		if err := t.takeLock(); err != nil {
			return err
		}
	}
	if err := removeLeftovers(t.cfg.Out); err != nil {
		return err
	}
	if t.cfg.ResumeAuto {
		if err := t.resume.setAside(t.cfg.Out, t.cfg.Reporter.Note); err != nil {
			return err
		}
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
	var err error
	if t.trainer, err = runtime.NewTrainer(dir, sessions(t.recipe)); err != nil {
		return t.lessMemory(err)
	}
	if err := t.openEvaluator(dir); err != nil {
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
	t.aside.begin(t.trainer.View(), m.MovingCount())
	if err := t.aside.lead(t.trainer); err != nil {
		return err
	}
	if saved != nil {
		if err := t.restore(saved); err != nil {
			return fmt.Errorf("cannot resume: %s: %w", t.checkpointFile(), err)
		}
	}
	return t.openLog()
}

// openLog opens the history, without what lies after the run's position.
func (t *run) openLog() (err error) {
	t.log, err = metrics.Open(filepath.Join(t.cfg.Out, MetricsFile), t.start.Epoch)
	return err
}
