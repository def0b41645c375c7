package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/x448/float16"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TuneConfig says for which recipe's step to time the forms.
type TuneConfig struct {
	Recipe  *recipe.Recipe
	Library string
	// Spec, if set, describes the step in place of the recipe, of which then
	// only provider and threads are used.
	Spec *artifact.Spec
	// Missing leaves out what was timed before: its rows are made of what was
	// kept.
	Missing bool
	// Progress, if set, is called as operators are done.
	Progress func(done, total int)
	// Row, if set, is called with each row as soon as it is there.
	Row func(Tuned) error
}

// Tuned is what was measured of one operator of the step.
type Tuned struct {
	// Operator is its kind, Shapes those of its inputs.
	Operator string   `json:"operator"`
	Shapes   []string `json:"shapes"`
	// Times is how often the step has the operator.
	Times int `json:"times"`
	// Rule is the form that is taken without measurement, Best the one that is
	// taken with it; Seconds are those of every form that applies.
	Rule    string             `json:"rule"`
	Best    string             `json:"best"`
	Seconds map[string]float64 `json:"seconds"`
}

// Tune times the forms in which the operators of a recipe's training step can
// be lowered, and keeps the measurements for the runs to come on this machine
// with the same library and number of threads (TuningFile). Nothing else
// should run meanwhile. It returns a row for each distinct operator. What is timed
// is kept at once: with an error that ends it early, such as the context's, come the
// rows that are done, and Missing goes on.
func Tune(ctx context.Context, c TuneConfig) ([]Tuned, error) {
	if c.Recipe == nil {
		return nil, errors.New("no recipe given")
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	if err := checkNames(r); err != nil {
		return nil, err
	}
	if _, err := libraryFor(r, c.Library); err != nil {
		return nil, err
	}
	var spec artifact.Spec
	if c.Spec != nil {
		spec = *c.Spec
	} else {
		d, err := openData(ctx, r)
		if err != nil {
			return nil, err
		}
		spec = Spec(r, d)
	}
	spec.Lowering.Choices = nil
	g, err := artifact.StepGraph(spec)
	if err != nil {
		return nil, err
	}
	known, err := readMeasurements()
	if err != nil {
		return nil, err
	}
	env := tuningEnvironment(r)
	if known[env] == nil {
		known[env] = map[string]map[string]float64{}
	}
	times := map[string]int{}
	for _, n := range g.Nodes {
		times[lower.Key(n)]++
	}
	nodes := lower.Tunable(g, spec.Lowering)
	var rows []Tuned
	defer tuned.Delete(env)
	for i, n := range nodes {
		if c.Progress != nil {
			c.Progress(i, len(nodes))
		}
		row := Tuned{Operator: n.Op.Kind(), Times: times[lower.Key(n)]}
		for _, v := range n.In {
			row.Shapes = append(row.Shapes, v.Shape.String())
		}
		forms := lower.Candidates(n, spec.Lowering)
		if len(forms) == 0 {
			continue
		}
		row.Rule = forms[0]
		row.Seconds = kept(known[env][lower.Key(n)], forms)
		if row.Seconds == nil || !c.Missing {
			if row.Seconds, err = timeForms(ctx, n, forms, spec.Lowering, sessions(r)); err != nil {
				return rows, err
			}
			known[env][lower.Key(n)] = entryOf(row)
			if err := known.write(); err != nil {
				return rows, err
			}
		}
		row.Best = best(row.Seconds, row.Rule)
		rows = append(rows, row)
		if c.Row != nil {
			if err := c.Row(row); err != nil {
				return rows, err
			}
		}
	}
	if c.Progress != nil {
		c.Progress(len(nodes), len(nodes))
	}
	return rows, nil
}

// entryOf is what is kept of a row.
func entryOf(row Tuned) map[string]float64 {
	entry := map[string]float64{ruleForm + row.Rule: 0}
	maps.Copy(entry, row.Seconds)
	return entry
}

// kept returns the seconds of an entry if it has them of all forms, or else nil.
func kept(entry map[string]float64, forms []string) map[string]float64 {
	seconds := map[string]float64{}
	for _, form := range forms {
		s, ok := entry[form]
		if !ok {
			return nil
		}
		seconds[form] = s
	}
	return seconds
}

const (
	// tuneRounds is how often the forms of an operator take turns.
	tuneRounds = 5
	// tuneTurn is the least time of a turn, so that the clock's grain and the
	// start of the threads do not count.
	tuneTurn = 4 * time.Millisecond
	// hopeless ends the trial of a form that after two turns takes so many
	// times the best.
	hopeless = 2.5
)

// timeForms runs the forms of an operator in turn and returns the least time of
// a run of each.
func timeForms(ctx context.Context, n *ir.Node, forms []string, o lower.Options, run runtime.Options) (map[string]float64, error) {
	trials := make([]*trial, 0, len(forms))
	defer func() {
		for _, t := range trials {
			t.close()
		}
	}()
	for _, form := range forms {
		t, err := newTrial(n, form, o, run)
		if err != nil {
			return nil, err
		}
		trials = append(trials, t)
	}
	least := map[string]float64{}
	for round := range tuneRounds {
		fastest := slices.Min(append(slices.Collect(maps.Values(least)), math.Inf(1)))
		for _, t := range trials {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if round > 1 && least[t.form] > hopeless*fastest {
				continue
			}
			s, err := t.turn()
			if err != nil {
				return nil, err
			}
			if old, ok := least[t.form]; !ok || s < old {
				least[t.form] = s
			}
		}
	}
	return least, nil
}

// trial is a form's model, ready to run.
type trial struct {
	form    string
	session *runtime.Session
	in, out map[string]*runtime.Tensor
	// trips, if set, is how often the model computes the node in a run.
	trips *runtime.Tensor
}

func newTrial(n *ir.Node, form string, o lower.Options, run runtime.Options) (*trial, error) {
	probe := lower.Probe
	if o.Provider == lower.CUDA {
		probe = lower.ProbeLoop
	}
	m, err := probe(n, form, o)
	if err != nil {
		return nil, err
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		return nil, err
	}
	t := &trial{form: form, in: map[string]*runtime.Tensor{}, out: map[string]*runtime.Tensor{}}
	if o.Kernels {
		if run.Kernels, err = runtime.FindKernels(o.Provider); err != nil {
			return nil, err
		}
	}
	if t.session, err = runtime.NewSessionFromBytes("form "+form, b, run); err != nil {
		return nil, err
	}
	for _, p := range t.session.Inputs() {
		if p.Name == lower.Trips {
			if t.trips, err = runtime.WrapInts([]int64{1}, 1); err != nil {
				t.close()
				return nil, err
			}
			t.in[p.Name] = t.trips
			continue
		}
		x, err := trialTensor(p)
		if err != nil {
			t.close()
			return nil, err
		}
		t.in[p.Name] = x
	}
	for _, p := range t.session.Outputs() {
		y, err := trialTensor(p)
		if err != nil {
			t.close()
			return nil, err
		}
		t.out[p.Name] = y
	}
	return t, nil
}

// trialTensor makes a tensor for a port, float32 or float16, of numbers of usual
// size: zeros would be quicker nowhere, but subnormals slower.
func trialTensor(p runtime.Port) (*runtime.Tensor, error) {
	size := 1
	for _, d := range p.Shape {
		size *= int(d)
	}
	number := func(i int) float32 { return float32(i%13)/13 - 0.4 }
	if p.Type == runtime.Float16 {
		halves := make([]float16.Float16, size)
		for i := range halves {
			halves[i] = float16.Fromfloat32(number(i))
		}
		return runtime.WrapHalves(halves, p.Shape...)
	}
	floats := make([]float32, size)
	for i := range floats {
		floats[i] = number(i)
	}
	return runtime.WrapTensor(floats, p.Shape...)
}

// turn returns the mean seconds of a node's computation over a turn.
func (t *trial) turn() (float64, error) {
	if t.trips != nil {
		return t.looped()
	}
	begun := time.Now()
	for n := 1; ; n++ {
		if err := t.session.Run(t.in, t.out); err != nil {
			return 0, fmt.Errorf("timing the forms: %w", err)
		}
		if spent := time.Since(begun); spent >= tuneTurn {
			return spent.Seconds() / float64(n), nil
		}
	}
}

// tuneTrips is how many times more a long run of a loop computes the node than
// a short one.
const tuneTrips = 20

// looped returns what one trip of the loop takes: the difference of a long run
// and a short one, in which the way of the inputs to the device cancels.
func (t *trial) looped() (float64, error) {
	times := [2]float64{}
	for i, trips := range []int64{1, 1 + tuneTrips} {
		t.trips.Ints()[0] = trips
		begun := time.Now()
		if err := t.session.Run(t.in, t.out); err != nil {
			return 0, fmt.Errorf("timing the forms: %w", err)
		}
		times[i] = time.Since(begun).Seconds()
	}
	return max(times[1]-times[0], 1e-9) / tuneTrips, nil
}

func (t *trial) close() {
	for _, m := range []map[string]*runtime.Tensor{t.in, t.out} {
		for _, x := range m {
			x.Close()
		}
	}
	if t.session != nil {
		t.session.Close()
	}
}
