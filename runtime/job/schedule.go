package job

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/schedule"
)

// ScheduleConfig says whose learning rate to draw.
type ScheduleConfig struct {
	// Recipe is resolved by Schedule; it is not changed.
	Recipe *recipe.Recipe
	// StepsPerEpoch is the number of optimizer steps of an epoch; 0 counts the
	// recipe's training images.
	StepsPerEpoch int
	// Out is the PNG file to write; empty for none.
	Out string
}

// Course is the course of a learning rate over a run.
type Course struct {
	StepsPerEpoch int `json:"steps_per_epoch"`
	Steps         int `json:"steps"`
	// Base is the base rate after linear scaling, Lowest and Highest those of
	// the run.
	Base    float64 `json:"base"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	// Reacts tells that the schedule reacts to what the run measures; the
	// course is that of a run that measures nothing.
	Reacts bool `json:"reacts,omitempty"`
	// Points are the steps worth naming, in order.
	Points []CoursePoint `json:"points"`
}

// CoursePoint is the learning rate of one step.
type CoursePoint struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"` // Step in epochs, from 0
	LR    float64 `json:"lr"`
	// What says why the step is worth naming, such as "warm-up ends".
	What string `json:"what"`
}

// mostScanned bounds the steps that are looked at one by one.
const mostScanned = 4_000_000

// Schedule computes a recipe's learning rate over its whole run, finds the
// steps worth naming and draws it. It opens the data only to count the images.
func Schedule(c ScheduleConfig) (*Course, error) {
	if c.Recipe == nil {
		return nil, errors.New("no recipe given")
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	perEpoch := c.StepsPerEpoch
	switch {
	case perEpoch < 0:
		return nil, fmt.Errorf("an epoch of %d steps: give at least 1", perEpoch)
	case perEpoch == 0:
		d, err := data.Open(data.FromRecipe(r))
		if err != nil {
			return nil, fmt.Errorf("cannot count the steps of an epoch: %w", err)
		}
		if perEpoch, err = stepsPerEpoch(r, d); err != nil {
			return nil, err
		}
	}
	if most := math.MaxInt32; perEpoch > most/r.Epochs {
		return nil, fmt.Errorf("%d epochs of %d steps are more than the %d steps that can be drawn", r.Epochs, perEpoch, most)
	}
	s, err := r.BuildSchedule(perEpoch)
	if err != nil {
		return nil, err
	}
	state, err := schedule.SaveState(s)
	if err != nil {
		return nil, err
	}
	course := trace(s, r.Epochs*perEpoch, perEpoch)
	course.Base, course.Reacts = r.BaseLR(), state != nil
	if c.Out == "" {
		return course, nil
	}
	return course, course.figure(s, r).Write(c.Out)
}

// trace walks along a schedule and names its steps.
func trace(s schedule.Schedule, steps, perEpoch int) *Course {
	c := &Course{StepsPerEpoch: perEpoch, Steps: steps}
	stride := (steps + mostScanned - 1) / mostScanned
	lr := make([]float64, (steps+stride-1)/stride)
	for i := range lr {
		lr[i] = s.LR(i * stride)
	}
	c.Lowest, c.Highest = slices.Min(lr), slices.Max(lr)
	names := map[int][]string{}
	name := func(step int, words string) {
		if step >= 0 && step < steps && !slices.Contains(names[step], words) {
			names[step] = append(names[step], words)
		}
	}
	name(0, "start")
	if w, ok := s.(schedule.Wrapper); ok {
		if _, end := w.Unwrap(); end > 0 {
			name(end-1, "last of the warm-up")
			name(end, "warm-up ends")
		}
	}
	if c.Highest > c.Lowest {
		name(stride*slices.Index(lr, c.Highest), "highest")
		name(stride*slices.Index(lr, c.Lowest), "lowest")
		turns(lr, (c.Highest-c.Lowest)/1000, func(i int, words string) { name(i*stride, words) })
		jumps(lr, c.Highest/50, func(i int, words string) { name(i*stride, words) })
	}
	every := epochsApart(steps / perEpoch)
	for epoch := every; epoch < steps/perEpoch; epoch += every {
		name(epoch*perEpoch, "")
	}
	name(steps-1, "last step")
	for step, words := range names {
		words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
		if len(words) > 1 { // "highest" says more than "peak"
			words = slices.DeleteFunc(words, func(w string) bool {
				return w == peak && slices.Contains(words, "highest") || w == valley && slices.Contains(words, "lowest")
			})
		}
		c.Points = append(c.Points, CoursePoint{
			Step: step, Epoch: float64(step) / float64(perEpoch), LR: s.LR(step), What: strings.Join(words, ", ")})
	}
	slices.SortFunc(c.Points, func(a, b CoursePoint) int { return cmp.Compare(a.Step, b.Step) })
	return c
}

const peak, valley = "peak", "valley"

// turns reports local maxima and minima from which the rate moves by more
// than a threshold on both sides.
func turns(lr []float64, threshold float64, report func(i int, what string)) {
	high, low := 0, 0 // since the last turn
	rising, known := false, false
	for i, v := range lr {
		if v > lr[high] {
			high = i
		}
		if v < lr[low] {
			low = i
		}
		switch {
		case (rising || !known) && lr[high]-v > threshold:
			if known {
				report(high, peak)
			}
			rising, known, low = false, true, i
		case (!rising || !known) && v-lr[low] > threshold:
			if known {
				report(low, valley)
			}
			rising, known, high = true, true, i
		}
	}
}

// jumps reports steps at which the rate changes by more than a threshold and
// far more than at the steps beside it.
func jumps(lr []float64, threshold float64, report func(i int, what string)) {
	delta := func(i int) float64 {
		if i < 1 || i >= len(lr) {
			return 0
		}
		return math.Abs(lr[i] - lr[i-1])
	}
	for i := 1; i < len(lr); i++ {
		if d := delta(i); d <= threshold || d <= 5*max(delta(i-1), delta(i+1)) {
			continue
		}
		if lr[i] >= 100*lr[i-1] {
			report(i, "jump from the valley")
			continue
		}
		report(i, fmt.Sprintf("jump ×%.3g", lr[i]/lr[i-1]))
	}
}

// epochsApart spaces about ten epochs over a run by 1, 2 or 5 times a power
// of ten.
func epochsApart(epochs int) int {
	for unit := 1; ; unit *= 10 {
		for _, m := range []int{1, 2, 5} {
			if epochs <= 10*m*unit {
				return m * unit
			}
		}
	}
}

// mostDrawn is the number of points of the picture: more than it has columns.
const mostDrawn = 4000

// figure is the picture of a course.
func (c *Course) figure(s schedule.Schedule, r *recipe.Recipe) metrics.Figure {
	f := metrics.Figure{
		Title:     fmt.Sprintf("Learning rate of %s", describeSchedule(r)),
		Subtitle:  fmt.Sprintf("%d epochs of %d steps, base rate %.3g, highest %.3g, lowest %.3g", c.Steps/c.StepsPerEpoch, c.StepsPerEpoch, c.Base, c.Highest, c.Lowest),
		XLabel:    "epoch",
		YLabel:    "learning rate",
		ZeroBased: true,
	}
	if c.Reacts {
		f.Subtitle += "; reacts to measurements, drawn without any"
	}
	var line metrics.Series
	add := func(step int) {
		line.X = append(line.X, float64(step)/float64(c.StepsPerEpoch))
		line.Y = append(line.Y, s.LR(step))
	}
	// Every named step and the one before it are drawn, so that jumps are
	// upright; between them a sample.
	stride := max(1, c.Steps/mostDrawn)
	next := 0
	for _, p := range append(c.Points, CoursePoint{Step: c.Steps}) {
		for ; next < p.Step-1; next += stride {
			add(next)
		}
		if p.Step > 0 {
			add(p.Step - 1)
		}
		if p.Step < c.Steps {
			add(p.Step)
		}
		next = p.Step + 1
	}
	f.Series = []metrics.Series{line}
	for _, p := range c.Points {
		if strings.Contains(p.What, "warm-up ends") {
			f.Marks = append(f.Marks, metrics.Mark{X: p.Epoch, Name: "warm-up ends"})
		}
	}
	return f
}

// describeSchedule names warm-up and schedule: "gradual warm-up, then cosine".
func describeSchedule(r *recipe.Recipe) string {
	kind := r.Schedule.Warmup.Kind
	if kind == "" || kind == recipe.NoWarmup {
		return strings.ReplaceAll(r.Schedule.Name, "_", " ")
	}
	return strings.ReplaceAll(fmt.Sprintf("%s warm-up, then %s", kind, r.Schedule.Name), "_", " ")
}
