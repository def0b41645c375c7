package recipe

import (
	"maps"
	"slices"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/network"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Resolve returns a copy with every default filled in (the data set's
// normalisation and augmentation, the warm-up, all options of all tricks),
// after checking everything that can be checked without the data. Resolving
// again changes nothing. Names of models, optimizers and providers are
// checked by those who build them. The error is a *strict.Error.
func (r *Recipe) Resolve() (*Recipe, error) {
	out := r.clone()
	if err := out.resolve(); err != nil {
		return nil, strict.Locate(err, r.file, r.lines)
	}
	return out, nil
}

// Validate reports the first thing that Resolve would object to.
func (r *Recipe) Validate() error {
	_, err := r.Resolve()
	return err
}

func (r *Recipe) clone() *Recipe {
	out := *r
	out.Data.TrainFiles = slices.Clone(r.Data.TrainFiles)
	out.Data.TestFiles = slices.Clone(r.Data.TestFiles)
	out.Data.Mean = slices.Clone(r.Data.Mean)
	out.Data.Std = slices.Clone(r.Data.Std)
	out.Model.Options = maps.Clone(r.Model.Options)
	out.Model.Freeze = slices.Clone(r.Model.Freeze)
	out.Optimizer.Momentum, out.Optimizer.WeightDecay = clone(r.Optimizer.Momentum), clone(r.Optimizer.WeightDecay)
	out.Optimizer.Options = maps.Clone(r.Optimizer.Options)
	out.Precision.LossScale.Number = clone(r.Precision.LossScale.Number)
	out.Schedule.Options = maps.Clone(r.Schedule.Options)
	out.Schedule.Warmup.Options = maps.Clone(r.Schedule.Warmup.Options)
	out.Sampling.Options = maps.Clone(r.Sampling.Options)
	out.Augment = slices.Clone(r.Augment)
	for i := range out.Augment {
		out.Augment[i].Options = maps.Clone(out.Augment[i].Options)
	}
	out.Mix = slices.Clone(r.Mix)
	for i := range out.Mix {
		out.Mix[i].Options = maps.Clone(out.Mix[i].Options)
	}
	out.Target.Tricks = maps.Clone(r.Target.Tricks)
	out.Teacher = r.Teacher.clone()
	out.Average.Options = maps.Clone(r.Average.Options)
	out.Stop.Options = maps.Clone(r.Stop.Options)
	out.lines = maps.Clone(r.lines)
	return &out
}

func (r *Recipe) resolve() error {
	if err := r.check(); err != nil {
		return err
	}
	if err := r.resolveOptimizer(); err != nil {
		return err
	}
	var err error
	if r.Focal, err = r.Focal.Resolve(r.Loss); err != nil {
		return strict.Within("focal", err)
	}
	if err := r.Precision.resolve(); err != nil {
		return err
	}
	if err := r.NonFinite.resolve(); err != nil {
		return err
	}
	set, err := lookupDataSet(r.Data.Name)
	if err != nil {
		return strict.Within("data.name", err)
	}
	if err := r.resolveData(set); err != nil {
		return err
	}
	return r.resolveTricks()
}

// resolveTricks checks all tricks and writes their options out in full.
func (r *Recipe) resolveTricks() error {
	s, err := r.scheduleOptions()
	if err != nil {
		return err
	}
	if r.Schedule.Options, err = encode(s); err != nil {
		return err
	}
	w, err := r.warmupOptions()
	if err != nil {
		return err
	}
	if w == nil {
		r.Schedule.Warmup = Warmup{Kind: NoWarmup}
	} else {
		if r.Schedule.Warmup.Kind == "" {
			r.Schedule.Warmup.Kind = "gradual"
		}
		if r.Schedule.Warmup.Options, err = encode(w); err != nil {
			return err
		}
		if n := w.Length(1 << 20); n >= r.Epochs<<20 {
			return strict.Errorf("schedule.warmup.epochs", "the warm-up takes %.3g epochs but the run has only %d; shorten it or train longer",
				float64(n)/(1<<20), r.Epochs)
		}
	}
	steps, err := r.augmentOptions()
	if err != nil {
		return err
	}
	for i, s := range steps {
		if r.Augment[i].Options, err = encode(s.Options); err != nil {
			return err
		}
	}
	if err := r.resolveMix(); err != nil {
		return err
	}
	shapers, err := r.targetOptions()
	if err != nil {
		return err
	}
	for _, s := range shapers {
		if s.name == "class_weights" && (r.Loss == "bce" || r.Loss == network.FocalSigmoid) {
			return strict.Errorf("target.class_weights", "weights the classes of a softmax, but loss: %s asks about each class by itself, with targets of 0 to 1; remove one of the two", r.Loss)
		}
		if r.Target.Tricks[s.name], err = encode(s.options); err != nil {
			return err
		}
	}
	if err := r.resolveTeacher(); err != nil {
		return err
	}
	return r.resolveRun()
}

// The largest values that are not a slip of the keyboard.
const (
	mostEpochs  = 1_000_000
	mostBatch   = 1 << 20
	mostThreads = 4096
	mostSteps   = 4096
	mostSide    = 1 << 14
	mostMinutes = 365 * 24 * 60
)

// check checks the ranges of the recipe's own keys.
func (r *Recipe) check() error {
	for _, c := range []struct {
		key  string
		ok   bool
		want string
		got  any
	}{
		{"epochs", r.Epochs >= 1 && r.Epochs <= mostEpochs, "must be 1 to 1000000", r.Epochs},
		{"batch", r.Batch >= 1 && r.Batch <= mostBatch, "must be 1 to 1048576", r.Batch},
		{"limit", r.Limit >= 0, "must not be negative", r.Limit},
		{"threads", r.Threads >= 0 && r.Threads <= mostThreads, "must be 0 (one per core) to 4096", r.Threads},
		{"steps_per_run", r.StepsPerRun >= 0 && r.StepsPerRun <= mostSteps, "must be 0 (one) to 4096", r.StepsPerRun},
		{"data.workers", r.Data.Workers >= 0 && r.Data.Workers <= mostThreads, "must be 0 (one per core) to 4096", r.Data.Workers},
		{"data.validation", r.Data.Validation >= 0, "must not be negative", r.Data.Validation},
		{"data.validation", r.Data.Validation < 1 || r.Data.Validation == float64(int(r.Data.Validation)),
			"must be a share below 1 or a whole number of images", r.Data.Validation},
		{"data.resize", r.Data.Resize >= 0 && r.Data.Resize <= mostSide, "must be 0 (as much as there is) to 16384 pixels", r.Data.Resize},
		{"data.size", r.Data.Size >= 0 && r.Data.Size <= mostSide, "must be 0 (the files' own, or 224) to 16384 pixels", r.Data.Size},
		{"data.test_split", r.Data.TestSplit >= 0 && r.Data.TestSplit < 1, "must be a share from 0 to below 1", r.Data.TestSplit},
		{"data.skip_broken", r.Data.SkipBroken >= 0, "must not be negative", r.Data.SkipBroken},
		{"data.repeats", r.Data.Repeats >= 0 && r.Data.Repeats <= r.Batch, "must be 0 to the batch", r.Data.Repeats},
		{"schedule.lr", r.Schedule.LR > 0, "must be above 0", r.Schedule.LR},
		{"provider", r.Provider != "", "must be a name, such as cpu", `""`},
		{"model.name", r.Model.Name != "", "must be a name", `""`},
		{"model.layer_decay", r.Model.LayerDecay >= 0 && r.Model.LayerDecay <= 1, "must be above 0 and at most 1", r.Model.LayerDecay},
		{"model.freeze_norms", !r.Model.FreezeNorms || len(r.Model.Freeze) > 0, "needs model.freeze to say which", r.Model.FreezeNorms},
		{"optimizer.name", r.Optimizer.Name != "", "must be a name", `""`},
		{"checkpoint.every", r.Checkpoint.Every >= 1, "must be at least 1 epoch", r.Checkpoint.Every},
		{"checkpoint.minutes", r.Checkpoint.Minutes >= 0 && r.Checkpoint.Minutes <= mostMinutes, "must be 0 (by epochs only) to 525600 minutes", r.Checkpoint.Minutes},
		{"checkpoint.keep", r.Checkpoint.Keep >= 1, "must be at least 1", r.Checkpoint.Keep},
	} {
		if !c.ok {
			return strict.Errorf(c.key, "%s, got %v", c.want, c.got)
		}
	}
	if err := r.CUDA.Check(r.Provider, r.Teacher.Provider); err != nil {
		return err
	}
	for _, s := range r.Data.Std {
		if !(s > 0) {
			return strict.Errorf("data.std", "must be above 0, got %v", r.Data.Std)
		}
	}
	if kinds := []string{FloatImages, ByteImages, AutoImages}; r.Data.Images != "" && !slices.Contains(kinds, r.Data.Images) {
		return strict.Errorf("data.images", "unknown form %q%s", r.Data.Images, nearest.Hint(r.Data.Images, kinds))
	}
	if r.Limit > 0 && r.Limit < r.Batch {
		return strict.Errorf("limit", "%d images are fewer than one batch of %d; raise it or lower batch", r.Limit, r.Batch)
	}
	if losses := []string{"softmax", "bce", network.FocalSoftmax, network.FocalSigmoid}; r.Loss != "" && !slices.Contains(losses, r.Loss) {
		return strict.Errorf("loss", "unknown loss %q%s", r.Loss, nearest.Hint(r.Loss, losses))
	}
	if n := r.Accumulate; n < 0 || n > 1 && r.Batch%n != 0 {
		return strict.Errorf("accumulate", "a batch of %d does not divide into %d equal parts", r.Batch, n)
	}
	if r.StepsPerRun > 1 {
		switch {
		case r.Parts() > 1:
			return strict.Errorf("steps_per_run", "takes whole batches, and accumulate takes them in parts; remove one of the two")
		case r.Teacher.Self:
			return strict.Errorf("steps_per_run", "cannot be above 1 with teacher.self, whose answers come from the weights after every step")
		}
	}
	if n := r.Data.Repeats; n > 1 && r.Batch%n != 0 {
		return strict.Errorf("data.repeats", "a batch of %d cannot show every image %d times; make it a multiple", r.Batch, n)
	}
	return nil
}
