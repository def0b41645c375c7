package job

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/tricks/distillation"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// nesterov is the option that a recipe has a key of its own for.
const nesterov = "nesterov"

// checkOptimizer reports what the update rule of a resolved recipe does not
// know, or does not take, as a mistake of the recipe's key. It completes the
// recipe's options by the rule's defaults, so that the recipe is a full record
// of the run.
func checkOptimizer(r *recipe.Recipe) error {
	o := &r.Optimizer
	rule, ok := optimizer.Lookup(o.Name)
	if !ok {
		return strict.Errorf("optimizer.name", "unknown optimizer %q%s", o.Name, nearest.Hint(o.Name, optimizer.Names()))
	}
	switch said, twice := o.Options[nesterov]; {
	case o.Nesterov && !hasOption(rule, nesterov):
		return strict.Errorf("optimizer.nesterov", "%s has no Nesterov momentum", o.Name)
	case o.Nesterov && twice && said != "true":
		return strict.Errorf("optimizer.nesterov", "contradicts optimizer.options.nesterov, which is %s", said)
	}
	options, hyper, err := rule.Settings(o.Options)
	if err != nil {
		var e *optimizer.OptionError
		if errors.As(err, &e) {
			return strict.Errorf("optimizer.options."+e.Option, "%s", e.Problem)
		}
		return err
	}
	if lr := float32(r.BaseLR()); !(lr > 0) || math.IsInf(float64(lr), 0) {
		return strict.Errorf("schedule.lr", "is beyond the range of single precision, got %g", r.BaseLR())
	}
	full := map[string]string{}
	for name, value := range options {
		_, said := o.Options[name]
		if name != nesterov || said {
			full[name] = value
		}
	}
	for _, h := range rule.HyperFor(options) {
		if optimizer.Reserved(h.Name) {
			continue
		}
		value, ok := hyper[h.Name]
		if !ok {
			value = h.Default
		}
		full[h.Name] = strconv.FormatFloat(float64(value), 'g', -1, 32)
	}
	if len(full) > 0 {
		o.Options = full
	}
	return nil
}

func hasOption(o *optimizer.Optimizer, name string) bool {
	return slices.ContainsFunc(o.Options, func(op optimizer.Option) bool { return op.Name == name })
}

// settings returns the options and the hyper-parameters among a recipe's
// options. An unknown optimizer has none.
func settings(r *recipe.Recipe) (options map[string]string, values map[string]float32, err error) {
	rule, ok := optimizer.Lookup(r.Optimizer.Name)
	if !ok {
		return nil, nil, nil
	}
	options, values, err = rule.Settings(r.Optimizer.Options)
	if err == nil && r.Optimizer.Nesterov && hasOption(rule, nesterov) {
		options[nesterov] = "true"
	}
	return options, values, err
}

// transforms names what the recipe does to the gradient.
func transforms(r *recipe.Recipe) []string {
	var names []string
	for name := range r.Gradient.Active() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// hyper is the part of the step's scalars that does not change over a run.
func hyper(r *recipe.Recipe, m *artifact.Manifest) (map[string]float32, error) {
	_, known, err := settings(r)
	if err != nil {
		return nil, err
	}
	if known == nil {
		known = map[string]float32{}
	}
	known[optimizer.BaseLR] = float32(r.BaseLR())
	if v := r.Optimizer.Momentum; v != nil {
		known[optimizer.Momentum] = float32(*v)
	}
	if v := r.Optimizer.WeightDecay; v != nil {
		known[optimizer.WeightDecay] = float32(*v)
	}
	for name, v := range r.Gradient.Active() {
		known[name] = float32(v)
	}
	values := map[string]float32{}
	for _, h := range m.Hyper {
		if v, ok := known[h.Name]; ok {
			values[h.Name] = v
		}
	}
	return values, nil
}

// feed knows where the scalars stand that change from step to step.
type feed struct {
	values   []float32
	lr, step int // step is −1 for rules that do not count
	// distil sets the scalars of a distillation loss; nil without one.
	distil func(n int) distillation.Weights
}

func newFeed(values []float32, m *artifact.Manifest) (feed, error) {
	at := func(name string) int {
		return slices.IndexFunc(m.Hyper, func(h artifact.HyperInfo) bool { return h.Name == name })
	}
	f := feed{values: values, lr: at(optimizer.LR), step: at(optimizer.Step)}
	if f.lr < 0 {
		return f, fmt.Errorf("optimizer %s has no learning rate", m.Optimizer.Name)
	}
	return f, nil
}

// at sets the scalars of step n, from 0; the trainer's count of steps is n, and
// a resumed run counts on.
func (f feed) at(n int, lr float64) []float32 {
	f.values[f.lr] = float32(lr)
	if f.step >= 0 {
		f.values[f.step] = float32(n + 1)
	}
	if f.distil != nil {
		f.distil(n)
	}
	return f.values
}
