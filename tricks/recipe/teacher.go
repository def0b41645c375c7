package recipe

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/tricks/distillation"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Teacher says what the network learns from beside the labels. The zero value
// means nothing.
type Teacher struct {
	// Models are finished classifiers whose answers are averaged.
	Models []TeacherModel `yaml:"models,omitempty"`
	// Self makes the moving average of the network's own weights the teacher.
	Self bool `yaml:"self,omitempty"`
	// Generations, if above 1, repeats the run so many times, each with the one
	// before as its teacher.
	Generations int `yaml:"generations,omitempty"`
	// Form, Temperature and Alpha are the loss's; see package distillation.
	Form        string               `yaml:"form,omitempty"`
	Temperature *distillation.Course `yaml:"temperature,omitempty"`
	Alpha       *distillation.Course `yaml:"alpha,omitempty"`
	// Average is "probabilities" or "logits": of what several teachers' average
	// is taken.
	Average string `yaml:"average,omitempty"`
	// Cache is "none", "epochs" or "plain": which logits are kept on disk.
	Cache string `yaml:"cache,omitempty"`
	// CacheDir is the folder that they are kept in; empty means the user's
	// cache folder.
	CacheDir string `yaml:"cache_dir,omitempty"`
	// Threads is the number of threads that run the teachers; 0 means as many
	// as run the network.
	Threads int `yaml:"threads,omitempty"`
	// Provider executes the teachers; empty means the network's.
	Provider string `yaml:"provider,omitempty"`
}

// TeacherModel is one teacher. In YAML it is a mapping, or just the file.
type TeacherModel struct {
	// File is an ONNX classifier.
	File string `yaml:"file"`
	// SHA256 is the file's digest (with those of the files that its weights lie
	// in, if there are any), which a run records; given, the file must have it.
	SHA256 string `yaml:"sha256,omitempty"`
	// Weight is its share in the average; nil means 1.
	Weight *float64 `yaml:"weight,omitempty"`
	// Size is the height and width of its images, Layout "nchw" or "nhwc";
	// unless the model's own shape says them.
	Size   []int  `yaml:"size,omitempty,flow"`
	Layout string `yaml:"layout,omitempty"`
	// Mean and Std normalise its images, per channel, scaled to [0, 1]; unless
	// the model's metadata says.
	Mean []float64 `yaml:"mean,omitempty,flow"`
	Std  []float64 `yaml:"std,omitempty,flow"`
	// Classes names its outputs in their order; unless the metadata says.
	Classes []string `yaml:"classes,omitempty,flow"`
	// ClassOrder has for each class of the data the number of the output.
	ClassOrder []int `yaml:"class_order,omitempty,flow"`
	// Output names the output to take, where there are several.
	Output string `yaml:"output,omitempty"`
	// Values is "logits" or "probabilities", what the output holds.
	Values string `yaml:"values,omitempty"`
}

// SetScalar implements strict.Scalar.
func (m *TeacherModel) SetScalar(file string) { *m = TeacherModel{File: file} }

// IsZero makes an absent section absent in YAML.
func (t Teacher) IsZero() bool {
	return t.Models == nil && !t.Self && t.Generations == 0 && t.Form == "" && t.Temperature == nil && t.Alpha == nil &&
		t.Average == "" && t.Cache == "" && t.CacheDir == "" && t.Threads == 0 && t.Provider == ""
}

// What TeacherModel.Layout and Values, Teacher.Average and Cache may say.
const (
	NCHW          = "nchw"
	NHWC          = "nhwc"
	Logits        = "logits"
	Probabilities = "probabilities"
	CacheNone     = "none"
	CacheEpochs   = "epochs"
	CachePlain    = "plain"
)

// MostGenerations bounds a chain of runs.
const MostGenerations = 100

func (t Teacher) clone() Teacher {
	t.Models = slices.Clone(t.Models)
	for i := range t.Models {
		m := &t.Models[i]
		m.Weight = clone(m.Weight)
		m.Size, m.Mean, m.Std = slices.Clone(m.Size), slices.Clone(m.Mean), slices.Clone(m.Std)
		m.Classes, m.ClassOrder = slices.Clone(m.Classes), slices.Clone(m.ClassOrder)
	}
	if t.Temperature != nil {
		c := *t.Temperature
		t.Temperature = &c
	}
	if t.Alpha != nil {
		c := *t.Alpha
		t.Alpha = &c
	}
	return t
}

// Distils tells whether the run's own loss has a teacher's term. The first
// generation of a chain may have none.
func (r *Recipe) Distils() bool { return len(r.Teacher.Models) > 0 || r.Teacher.Self }

// Distillation returns the loss of a run with a teacher.
func (r *Recipe) Distillation() (distillation.Loss, error) {
	t := r.Teacher
	l, err := distillation.Options{Form: t.Form, Temperature: t.Temperature, Alpha: t.Alpha}.Loss()
	return l, strict.Locate(strict.Within("teacher", err), r.file, r.lines)
}

// resolveTeacher checks the section and writes it out in full.
func (r *Recipe) resolveTeacher() error {
	t := &r.Teacher
	if t.IsZero() {
		return nil
	}
	switch {
	case t.Generations < 0 || t.Generations > MostGenerations:
		return strict.Errorf("teacher.generations", "must be 0 (no chain) to %d, got %d", MostGenerations, t.Generations)
	case t.Threads < 0 || t.Threads > mostThreads:
		return strict.Errorf("teacher.threads", "must be 0 (as the network) to %d, got %d", mostThreads, t.Threads)
	case t.Self && len(t.Models) > 0:
		return strict.Errorf("teacher.self", "contradicts teacher.models: learn either from the run's own average or from other models")
	case t.Self && t.Generations > 1:
		return strict.Errorf("teacher.self", "contradicts teacher.generations, where each run learns from the one before: remove one of the two")
	case t.Self && r.Average.Name != "ema":
		return strict.Errorf("teacher.self", "the teacher is the moving average of the weights, which this run does not keep: add average: ema")
	case !r.Distils() && t.Generations < 2:
		return strict.Errorf("teacher.models", "missing: give the ONNX file of a teacher, or teacher.self or teacher.generations")
	}
	if t.Generations == 1 {
		t.Generations = 0
	}
	l, err := distillation.Options{Form: t.Form, Temperature: t.Temperature, Alpha: t.Alpha}.Loss()
	if err != nil {
		return strict.Within("teacher", err)
	}
	t.Form, t.Temperature = l.Form, &l.Temperature
	if l.Form == distillation.Weighted {
		t.Alpha = &l.Alpha
	}
	if err := choose("teacher.average", &t.Average, Probabilities, Logits); err != nil {
		return err
	}
	if err := choose("teacher.cache", &t.Cache, CacheNone, CacheEpochs, CachePlain); err != nil {
		return err
	}
	switch {
	case t.Self && t.Cache != CacheNone:
		return strict.Errorf("teacher.cache", "a teacher that changes with every step has nothing to keep: remove it")
	case t.Cache == CachePlain && len(r.Mix) > 0:
		return strict.Errorf("teacher.cache", "plain keeps the logits of images that are not mixed, but mix asks for %s: use cache epochs, or remove mix", r.Mix[0].Name)
	}
	return r.resolveTeachers()
}

// resolveTeachers checks the models.
func (r *Recipe) resolveTeachers() error {
	sum := 0.0
	for i := range r.Teacher.Models {
		m := &r.Teacher.Models[i]
		key := fmt.Sprintf("teacher.models.%d", i)
		if err := m.resolve(); err != nil {
			return strict.Within(key, err)
		}
		sum += *m.Weight
	}
	if len(r.Teacher.Models) > 0 && !(sum > 0) {
		return strict.Errorf("teacher.models", "the weights sum to %v: give at least one teacher a weight above 0", sum)
	}
	return nil
}

func (m *TeacherModel) resolve() error {
	if m.File == "" {
		return strict.Errorf("file", "missing: give the ONNX file of the teacher")
	}
	if m.Weight == nil {
		one := 1.0
		m.Weight = &one
	}
	switch {
	case !(*m.Weight >= 0 && *m.Weight <= 1e6):
		return strict.Errorf("weight", "must not be negative, got %v", *m.Weight)
	case len(m.Size) != 0 && (len(m.Size) != 2 || m.Size[0] < 1 || m.Size[1] < 1 || m.Size[0] > 1<<14 || m.Size[1] > 1<<14):
		return strict.Errorf("size", "must be [height, width] of 1 to 16384 pixels, got %v", m.Size)
	case len(m.Mean) != len(m.Std):
		return strict.Errorf("std", "has %d channels, mean has %d", len(m.Std), len(m.Mean))
	case len(m.Classes) > 0 && len(m.ClassOrder) > 0:
		return strict.Errorf("class_order", "contradicts classes: give one of the two")
	}
	for _, s := range m.Std {
		if !(s > 0) {
			return strict.Errorf("std", "must be above 0, got %v", m.Std)
		}
	}
	for _, c := range m.ClassOrder {
		if c < 0 {
			return strict.Errorf("class_order", "counts outputs from 0, got %d", c)
		}
	}
	if err := choose("layout", &m.Layout, "", NCHW, NHWC); err != nil {
		return err
	}
	return choose("values", &m.Values, "", Logits, Probabilities)
}

// choose checks a word; the first is the default.
func choose(key string, word *string, words ...string) error {
	if *word == "" {
		*word = words[0]
	}
	if !slices.Contains(words, *word) {
		known := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
		return strict.Errorf(key, "unknown value %q%s", *word, nearest.Hint(*word, known))
	}
	return nil
}

// portable is the section without what cannot change the numbers.
func (t Teacher) portable() Teacher {
	t = t.clone()
	t.CacheDir = ""
	if t.Cache == CacheEpochs {
		t.Cache = CacheNone
	}
	for i := range t.Models {
		m := &t.Models[i]
		m.File = filepath.Base(m.File)
		if m.SHA256 != "" {
			m.File = "teacher" // the digest says which
		}
	}
	return t
}
