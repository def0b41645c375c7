package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/distillation"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// identifyTeachers records the digests of a resolved recipe's teachers in it,
// so that a run goes on with the teachers it began with.
func identifyTeachers(r *recipe.Recipe) error {
	for i := range r.Teacher.Models {
		m := &r.Teacher.Models[i]
		sum, err := modelDigest(m.File)
		if err == nil && m.SHA256 != "" && m.SHA256 != sum {
			err = fmt.Errorf("%s is not the file that the recipe names: its SHA-256 is %s, not %s", m.File, sum, m.SHA256)
		}
		if err != nil {
			return strict.Within(teacherKey(i)+".file", err)
		}
		m.SHA256 = sum
	}
	return nil
}

func teacherKey(i int) string { return fmt.Sprintf("teacher.models.%d", i) }

// modelDigest is the SHA-256 of a model file; where its weights lie in files
// beside it, that of the digests of all.
func modelDigest(path string) (string, error) {
	sum, err := fileDigest(path)
	if err != nil {
		return "", err
	}
	model, err := onnx.ReadFile(path)
	if err != nil {
		return "", err
	}
	beside := onnx.ExternalFiles(model)
	if len(beside) == 0 {
		return sum, nil
	}
	h := sha256.New()
	io.WriteString(h, sum)
	for _, name := range beside {
		if !filepath.IsLocal(name) {
			return "", fmt.Errorf("%s: its weights lie in %q, outside its folder, which is refused", path, name)
		}
		part, err := fileDigest(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			return "", fmt.Errorf("its weights: %w", err)
		}
		io.WriteString(h, part)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// softTerm is what the artifacts of a resolved recipe are built with.
func softTerm(r *recipe.Recipe) string {
	l, err := r.Distillation()
	switch {
	case !r.Distils() || err != nil: // resolving has reported it
		return ""
	case l.Divergence():
		return artifact.SoftDivergence
	}
	return artifact.SoftCrossEntropy
}

// openTeachers loads the teachers of a resolved recipe and checks that they fit
// the data; nil where there are none.
func openTeachers(r *recipe.Recipe, d *data.Dataset) (*runtime.Ensemble, error) {
	if len(r.Teacher.Models) == 0 {
		return nil, nil
	}
	student := runtime.Student{Image: [3]int{d.Size.C, d.Size.H, d.Size.W}, Mean: r.Data.Mean, Std: r.Data.Std, Classes: d.Classes}
	var teachers []*runtime.Teacher
	var weights []float64
	closeAll := func() {
		for _, t := range teachers {
			t.Close()
		}
	}
	for i, m := range r.Teacher.Models {
		t, err := runtime.NewTeacher(teacherSpec(m), student, teacherSessions(r))
		if err != nil {
			closeAll()
			var u *runtime.UndeclaredError
			if errors.As(err, &u) {
				err = fmt.Errorf("%w; set %s", err, undeclared(i, u.Keys))
			}
			return nil, err
		}
		teachers, weights = append(teachers, t), append(weights, *m.Weight)
	}
	e, err := runtime.NewEnsemble(teachers, weights, r.Teacher.Average == recipe.Probabilities, len(d.Classes))
	if err != nil {
		closeAll()
		return nil, strict.Within("teacher.models", err)
	}
	return e, nil
}

func teacherSpec(m recipe.TeacherModel) runtime.TeacherSpec {
	s := runtime.TeacherSpec{File: m.File, Layout: m.Layout, Mean: m.Mean, Std: m.Std,
		Classes: m.Classes, ClassOrder: m.ClassOrder, Output: m.Output, Values: m.Values}
	if len(m.Size) == 2 {
		s.Size = [2]int(m.Size)
	}
	return s
}

// undeclared names the recipe keys that would say what is missing.
func undeclared(i int, keys []string) string {
	text := ""
	for j, k := range keys {
		if j > 0 {
			text += " and "
		}
		text += teacherKey(i) + "." + k
	}
	return text
}

// teach makes the feed give the scalars of the recipe's distillation loss for
// a run of steps.
func (f *feed) teach(r *recipe.Recipe, m *artifact.Manifest, steps int) error {
	if m.Distillation == "" {
		return nil
	}
	loss, err := r.Distillation()
	if err != nil {
		return err
	}
	at := func(name string) int {
		return slices.IndexFunc(m.Hyper, func(h artifact.HyperInfo) bool { return h.Name == name })
	}
	t, hard, soft := at(artifact.Temperature), at(artifact.HardWeight), at(artifact.SoftWeight)
	f.distil = func(n int) distillation.Weights {
		w := loss.At(n, steps)
		f.values[t], f.values[hard], f.values[soft] = float32(w.Temperature), float32(w.Hard), float32(w.Soft)
		return w
	}
	return nil
}

// supply starts the run's batches where the run stands, with the teachers'
// answers.
func (t *run) supply(ctx context.Context) (*supply, error) {
	report := t.cfg.Reporter
	if t.teachers != nil {
		for _, k := range t.teachers.Teachers() {
			report.Note("teacher " + k.String())
		}
		t.cache.close() // of an earlier attempt
		var err error
		if t.cache, err = openCache(t.recipe, t.data, t.teachers, t.lib.Version, report.Note); err != nil {
			return nil, err
		}
		if err := t.cache.fill(ctx, t.recipe, t.data, report.Note, report.Evaluating); err != nil {
			return nil, err
		}
	}
	loader, err := data.NewTrainLoader(ctx, t.data, t.recipe, t.start)
	if err != nil {
		return nil, err
	}
	loader.KnowBroken(t.broken)
	s := newSupply(ctx, loader, t.teachers, t.cache, t.recipe.Batch)
	if t.recipe.StepsPerRun > 1 {
		s.groups = newGrouper(ctx, s, t.recipe.StepsPerRun, t.perEpoch, t.start)
	}
	return s, nil
}

// teacherLogits returns the logits that step n's images get from the teacher,
// in memory that the next call overwrites; nil in a run without one.
func (t *run) teacherLogits(ctx context.Context, s *supply, l lesson, n int) ([]float32, error) {
	switch {
	case l.answers != nil:
		t.soft = slices.Grow(t.soft[:0], len(l.batch.Targets))[:len(l.batch.Targets)]
		t.teachers.Combine(t.soft, l.answers, t.hyper.distil(n).Temperature)
		return t.soft, nil
	case t.recipe.Teacher.Self:
		begun := time.Now()
		defer func() { s.teacherWait += time.Since(begun) }()
		return t.evaluator.Logits(ctx, t.aside.average, images(l.batch), l.batch.Count)
	}
	return nil, nil
}
