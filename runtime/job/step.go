package job

import (
	"context"
	"errors"
	"slices"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/schedule"
)

// steps trains on what comes next, a batch or a group of them, and returns the
// number of steps. On an error the state is the one before.
func (t *run) steps(ctx context.Context, supply *supply) (int, error) {
	if supply.groups != nil {
		return t.many(ctx, supply)
	}
	return 1, t.step(ctx, supply)
}

// rate is the learning rate of step n of the run.
func (t *run) rate(n int) float64 { return t.schedule.LR(n) * t.trouble.factor() }

// step trains on the next batch.
func (t *run) step(ctx context.Context, supply *supply) error {
	l, err := supply.next(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	for _, note := range l.notes {
		t.cfg.Reporter.Note(note)
	}
	b, n := l.batch, int(t.trainer.Steps())
	soft, err := t.teacherLogits(ctx, supply, l, n)
	if err != nil {
		return err
	}
	t.spoil(n, b.Images)
	lr := t.rate(n)
	hyper := t.hyper.at(n, lr)
	o, err := t.parts(b, soft, hyper)
	if err != nil {
		in := cut(whole(b, soft), o.failed, t.recipe.Parts())
		err = t.explain(err, []runtime.Inputs{in}, [][]float32{hyper})
	}
	var nf *runtime.NonFiniteError
	if errors.As(err, &nf) {
		if err = t.skip(nf, err); err == nil {
			t.trainer.SetSteps(nf.Step + 1)
		}
	}
	if err != nil {
		return err
	}
	t.aside.step(t.trainer.View(), n)
	if nf == nil {
		err = t.count(n, o, b.Count)
	}
	if err == nil {
		t.pass(lr, b.Broken)
	}
	return err
}

// pass notes what a step has gone by.
func (t *run) pass(lr float64, broken []int) {
	t.sums.LR = lr
	if len(broken) > 0 {
		t.broken = append(t.broken, broken...)
		slices.Sort(t.broken)
	}
}

// outcome is what came of a step over a batch.
type outcome struct {
	loss, norm float64
	correct    int
	// skipped and overflow are those of runtime.StepResult.
	skipped, overflow bool
	failed            int // the part that an error is about
}

func (t *run) spoil(n int, images []float32) {
	if t.cfg.spoil != nil {
		t.cfg.spoil(int64(n), images)
	}
}

// count adds a step, number n of the run, to the epoch's sums and shows it to
// the schedule. A step that was skipped for a gradient that overflows half
// precision is nothing unusual; any other is the policy's business.
func (t *run) count(n int, o outcome, images int) error {
	switch {
	case o.overflow:
		t.sums.Skipped++
		t.sums.Overflows++
	case o.skipped:
		nf := &runtime.NonFiniteError{Step: int64(n), Loss: float32(o.loss), GradientNorm: float32(o.norm)}
		return t.skip(nf, nf)
	}
	t.sums.Loss += o.loss * float64(images)
	t.sums.Correct += o.correct
	t.sums.Images += images
	schedule.Observe(t.schedule, n+1, schedule.Metrics{
		schedule.TrainLoss: o.loss, schedule.TrainError: 1 - float64(o.correct)/float64(images)})
	return nil
}

// parts trains on a batch and the teacher's logits of it (nil without a
// teacher), in equal parts if the recipe says so.
func (t *run) parts(b *data.Batch, soft, hyper []float32) (o outcome, err error) {
	parts := t.recipe.Parts()
	for i := range parts {
		in := cut(whole(b, soft), i, parts)
		out, err := t.trainer.StepInputs(in, hyper, i, parts)
		if err != nil {
			return outcome{failed: i}, err
		}
		o.loss += float64(out.Loss) / float64(parts)
		o.correct += agreements(out.Logits, in.Targets, b.Count/parts)
		o.norm, o.skipped, o.overflow = float64(out.GradientNorm), out.Skipped, out.Overflow
	}
	return o, nil
}

// many trains on the next group in one run and returns the number of its steps.
func (t *run) many(ctx context.Context, supply *supply) (int, error) {
	g, err := supply.groups.next(ctx)
	if g != nil {
		for _, note := range g.notes {
			t.cfg.Reporter.Note(note)
		}
	}
	if err != nil {
		return 0, err
	}
	defer supply.groups.release(g)
	m, first, lr := t.trainer.Manifest(), int(t.trainer.Steps()), 0.0
	in := runtime.Inputs{Images: g.images, Bytes: g.bytes, Targets: g.targets}
	if len(g.answers) > 0 {
		t.soft = slices.Grow(t.soft[:0], len(g.targets))[:len(g.targets)]
		in.Teacher = t.soft
	}
	sharesAt := slices.IndexFunc(m.Hyper, func(h artifact.HyperInfo) bool { return h.Name == artifact.AverageShare })
	hyper := make([]float32, 0, g.n*len(m.Hyper))
	for i := range g.n {
		n := first + i
		if in.Teacher != nil {
			t.teachers.Combine(part(t.soft, i, g.n), part(g.answers, i, g.n), t.hyper.distil(n).Temperature)
		}
		t.spoil(n, part(in.Images, i, g.n))
		lr = t.rate(n)
		hyper = append(hyper, t.hyper.at(n, lr)...)
		if sharesAt >= 0 {
			hyper[i*len(m.Hyper)+sharesAt] = t.aside.averager.Share(n)
		}
	}
	results, err := t.trainer.StepMany(in, hyper, g.n)
	if err != nil {
		var inputs []runtime.Inputs
		var scalars [][]float32
		for i := range g.n {
			inputs, scalars = append(inputs, cut(in, i, g.n)), append(scalars, part(hyper, i, g.n))
		}
		return 0, t.explain(err, inputs, scalars)
	}
	if m.Average {
		t.aside.follow(t.trainer)
	}
	for i, r := range results {
		o := outcome{loss: float64(r.Loss), norm: float64(r.GradientNorm), skipped: r.Skipped, overflow: r.Overflow,
			correct: agreements(r.Logits, part(in.Targets, i, g.n), g.batch)}
		if err := t.count(first+i, o, g.batch); err != nil {
			return 0, err
		}
	}
	t.pass(lr, g.broken)
	return g.n, nil
}

// skip decides about a step that was not finite, with what can be said of it:
// nil goes on without it.
func (t *run) skip(nf *runtime.NonFiniteError, told error) error {
	policy := t.recipe.NonFinite
	if policy.Policy != recipe.SkipStep {
		return told
	}
	if t.trouble.Skipped++; t.trouble.Skipped > policy.Limit {
		return t.exhausted(told, "steps have been skipped")
	}
	t.sums.Skipped++
	t.cfg.Reporter.Note(t.noteSkipped(nf))
	return nil
}

// whole returns what a step gets of a batch and the teacher's logits of it.
func whole(b *data.Batch, soft []float32) runtime.Inputs {
	return runtime.Inputs{Images: b.Images, Bytes: b.Bytes, Targets: b.Targets, Teacher: soft}
}

// cut returns number i of the equal parts of a step's inputs.
func cut(in runtime.Inputs, i, parts int) runtime.Inputs {
	return runtime.Inputs{Images: part(in.Images, i, parts), Bytes: part(in.Bytes, i, parts),
		Targets: part(in.Targets, i, parts), Teacher: part(in.Teacher, i, parts)}
}

// part returns number i of the equal parts of v, nil of nil.
func part[T float32 | uint8](v []T, i, parts int) []T {
	n := len(v) / parts
	return v[i*n : (i+1)*n]
}

// agreements counts the rows in which the largest logit meets the largest
// target; both are n×K.
func agreements(logits, targets []float32, n int) int {
	k := len(logits) / n
	count := 0
	for i := range n {
		if largest(logits[i*k:(i+1)*k]) == largest(targets[i*k:(i+1)*k]) {
			count++
		}
	}
	return count
}

func largest(v []float32) int {
	at := 0
	for i, x := range v {
		if x > v[at] {
			at = i
		}
	}
	return at
}
