// Package distillation is what a recipe says about learning from a teacher: the
// form of the loss, and how its temperature and weight change over a run. The
// loss itself is computed in the training graph (graphs/nn), the teacher's
// logits by package runtime.
package distillation

import (
	_ "embed" // the cards
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed distillation.md
var card string

//go:embed self_distillation.md
var selfCard string

//go:embed born_again.md
var bornAgainCard string

func init() {
	for _, t := range []tricks.Trick{
		{Name: "distillation", Summary: "learn from the logits of one or several trained models", Card: card},
		{Name: "self_distillation", Summary: "learn from the moving average of the network's own weights", Card: selfCard},
		{Name: "born_again", Summary: "train generations, each with the one before as its teacher", Card: bornAgainCard},
	} {
		t.Kind = tricks.Target
		tricks.Register(t)
	}
}

// The forms of the loss. hard is the loss of the targets, soft that of the
// teacher at temperature T.
const (
	// Survey is hard + T²·cross-entropy.
	Survey = "survey"
	// Weighted is (1−α)·hard + α·T²·divergence.
	Weighted = "weighted"
	// LabelFree is T²·divergence: the labels are not used.
	LabelFree = "label_free"
)

// Forms lists the forms.
var Forms = []string{Survey, Weighted, LabelFree}

// The defaults of a recipe that does not say.
const (
	DefaultTemperature = 4
	DefaultAlpha       = 0.9
)

// Loss is a form with the courses of its temperature and weight.
type Loss struct {
	Form        string
	Temperature Course
	Alpha       Course // of the weighted form only
}

// Weights are what a step is fed with.
type Weights struct{ Temperature, Hard, Soft float64 }

// At returns the weights of optimizer step n (from 0) of a run of steps.
func (l Loss) At(n, steps int) Weights {
	w := Weights{Temperature: l.Temperature.At(n, steps), Hard: 1, Soft: 1}
	switch l.Form {
	case Weighted:
		w.Soft = l.Alpha.At(n, steps)
		w.Hard = 1 - w.Soft
	case LabelFree:
		w.Hard = 0
	}
	return w
}

// Divergence tells whether the soft term is the Kullback-Leibler divergence;
// otherwise it is the cross-entropy.
func (l Loss) Divergence() bool { return l.Form != Survey }

// Options are the loss's keys in a recipe. The zero value is the survey's form
// at the default temperature.
type Options struct {
	Form        string
	Temperature *Course
	Alpha       *Course
}

// Loss checks the options and fills in the defaults: the form is the weighted
// one where α is given. Errors are about the keys form, temperature and alpha
// (strict.Errorf).
func (o Options) Loss() (Loss, error) {
	l := Loss{Form: o.Form, Temperature: Constant(DefaultTemperature), Alpha: Constant(DefaultAlpha)}
	if l.Form == "" {
		l.Form = Survey
		if o.Alpha != nil {
			l.Form = Weighted
		}
	}
	switch l.Form {
	case Survey, LabelFree:
		if o.Alpha != nil {
			return l, strict.Errorf("alpha", "belongs to form %s, the form is %s: remove one of the two", Weighted, l.Form)
		}
	case Weighted:
	default:
		return l, strict.Errorf("form", "unknown form %q%s", l.Form, nearest.Hint(l.Form, Forms))
	}
	if o.Temperature != nil {
		l.Temperature = *o.Temperature
	}
	if o.Alpha != nil {
		l.Alpha = *o.Alpha
	}
	if err := l.Temperature.check(func(v float64) error {
		if !(v >= least && v <= most) {
			return strict.Errorf("", "must be above 0, such as 1 to 20, got %v", v)
		}
		return nil
	}); err != nil {
		return l, strict.Within("temperature", err)
	}
	return l, strict.Within("alpha", l.Alpha.check(func(v float64) error {
		if !(v >= 0 && v <= 1) {
			return strict.Errorf("", "must be 0 to 1, got %v", v)
		}
		return nil
	}))
}

// A temperature outside this range leaves nothing of the logits in float32.
const least, most = 1e-3, 1e4

// Course is a value that may change over a run: constant, or from one value at
// the first step to another at the last, along a straight line or half a
// cosine. In a recipe it is a number, or a mapping.
type Course struct {
	// Course is "constant", "linear" or "cosine".
	Course string  `yaml:"course"`
	From   float64 `yaml:"from"`
	To     float64 `yaml:"to"`
}

// The shapes of a course.
const (
	constant = "constant"
	linear   = "linear"
	cosine   = "cosine"
)

// Constant returns the course that stays at v.
func Constant(v float64) Course { return Course{constant, v, v} }

// SetNumber implements strict.Number: a course may be just its value.
func (c *Course) SetNumber(v float64) { *c = Constant(v) }

// MarshalYAML implements yaml.Marshaler: a constant is written as a number.
func (c Course) MarshalYAML() (any, error) {
	if c.Course == constant && c.From == c.To {
		return c.From, nil
	}
	type plain Course
	return plain(c), nil
}

// At returns the value at step n, from 0, of steps.
func (c Course) At(n, steps int) float64 {
	x := 1.0
	if steps > 1 {
		x = min(float64(n)/float64(steps-1), 1)
	}
	switch c.Course {
	case linear:
		return c.From + (c.To-c.From)*x
	case cosine:
		return c.To + (c.From-c.To)*(1+math.Cos(math.Pi*x))/2
	}
	return c.From
}

// check checks the shape and, with a function for their range, both ends;
// everything between lies between them.
func (c Course) check(value func(float64) error) error {
	switch c.Course {
	case linear, cosine:
	case constant:
		if c.From != c.To {
			return strict.Errorf("course", "a constant does not go from %v to %v; choose linear or cosine", c.From, c.To)
		}
	case "":
		return strict.Errorf("course", "missing; one of constant, linear, cosine")
	default:
		return strict.Errorf("course", "unknown course %q%s", c.Course, nearest.Hint(c.Course, []string{constant, linear, cosine}))
	}
	if err := value(c.From); err != nil {
		if c.From == c.To {
			return err
		}
		return strict.Within("from", err)
	}
	return strict.Within("to", value(c.To))
}
