package job

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// The names of the files that FindLR writes.
const (
	LRFindPicture = "lr-find.png"
	LRFindTable   = "lr-find.csv"
)

// LRFindConfig says which recipe's learning rate to look for.
type LRFindConfig struct {
	// Recipe is resolved by FindLR; it is not changed.
	Recipe *recipe.Recipe
	// Min and Max bound the sweep; 0 means 1e-6 and 10.
	Min, Max float64
	// Steps is the number of training steps from Min to Max; 0 means 200.
	Steps int
	// Out is the folder for picture and table; empty writes nothing.
	Out     string
	Library string
	// Progress, if set, is called after every step.
	Progress func(p Sweep, total int)
}

// Sweep is one step of a range test.
type Sweep struct {
	LR float64 `json:"lr"`
	// Loss is that of the step's batch, before the update; Smooth its
	// exponential average, without the bias of its start.
	Loss   float64 `json:"loss"`
	Smooth float64 `json:"smooth"`
}

// LRFind is the outcome of a range test.
type LRFind struct {
	Sweep []Sweep `json:"sweep"`
	// Diverged tells that the sweep was cut short because the loss exploded.
	Diverged bool `json:"diverged"`
	// Lowest is the rate at which the smoothed loss was lowest.
	Lowest float64 `json:"lowest"`
	// Steepest is the rate at which the smoothed loss fell fastest with the
	// logarithm of the rate, TenthOfLowest a tenth of Lowest: the two usual
	// suggestions. Both are 0 if the loss never fell.
	Steepest      float64 `json:"steepest"`
	TenthOfLowest float64 `json:"tenth_of_lowest"`
}

const (
	// smoothing is the weight of the past in the average of the loss.
	smoothing = 0.9
	// divergence ends the sweep when the smoothed loss is so many times its
	// lowest.
	divergence = 4
)

// FindLR runs a learning-rate range test (Smith 2017, "Cyclical Learning Rates
// for Training Neural Networks", §3.3): it trains the recipe's model on its
// data from scratch, the rate rising exponentially from Min to Max, until the
// loss explodes. Everything but the schedule is the recipe's. Nothing is left
// but the picture and the table.
func FindLR(ctx context.Context, c LRFindConfig) (*LRFind, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	r, source, err := resolve(c.Recipe, "")
	if err != nil {
		return nil, err
	}
	d, err := openData(ctx, r)
	if err != nil {
		return nil, err
	}
	perEpoch, err := stepsPerEpoch(r, d)
	if err != nil {
		return nil, err
	}
	// A sweep longer than the run goes on as the run's first epochs did.
	r.Epochs = max(r.Epochs, (c.Steps+perEpoch-1)/perEpoch)
	if _, err := libraryFor(r, c.Library); err != nil {
		return nil, err
	}
	// A sweep has no average of its own to learn from, and is one run.
	if r.Teacher.Self {
		r.Teacher = recipe.Teacher{}
	}
	teachers, err := openTeachers(r, d)
	if err != nil {
		return nil, err
	}
	defer teachers.Close()
	spec, err := specification(r, d, source)
	if err != nil {
		return nil, err
	}
	set, err := artifact.Build(spec)
	if err != nil {
		return nil, err
	}
	initial, err := initialState(r, set.Manifest, source, func(string) {})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ortrain-lr-find-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for the training graphs: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return nil, err
	}
	trainer, err := runtime.NewTrainer(dir, sessions(r))
	if err != nil {
		return nil, err
	}
	defer trainer.Close()
	if initial != nil {
		if err := trainer.SetState(initial); err != nil {
			return nil, err
		}
	}
	loader, err := data.NewTrainLoader(ctx, d, r, data.Position{})
	if err != nil {
		return nil, err
	}
	supply := newSupply(ctx, loader, teachers, nil, r.Batch)
	defer supply.Close()
	found, err := sweep(ctx, c, &run{recipe: r, data: d, trainer: trainer, teachers: teachers}, supply)
	if err != nil {
		return nil, err
	}
	found.suggest()
	if c.Out == "" {
		return found, nil
	}
	return found, found.write(c.Out, r)
}

// complete fills in what is not said and checks the rest.
func (c LRFindConfig) complete() (LRFindConfig, error) {
	if c.Min == 0 {
		c.Min = 1e-6
	}
	if c.Max == 0 {
		c.Max = 10
	}
	if c.Steps == 0 {
		c.Steps = 200
	}
	switch {
	case c.Recipe == nil:
		return c, errors.New("no recipe given")
	case !(c.Min > 0) || !(c.Max > c.Min) || math.IsInf(c.Max, 0):
		return c, fmt.Errorf("a sweep from %v to %v: both rates must be above 0, the second above the first", c.Min, c.Max)
	case c.Steps < 20 || c.Steps > 1_000_000:
		return c, fmt.Errorf("a sweep of %d steps: give 20 to 1000000", c.Steps)
	}
	if st, err := os.Stat(c.Out); err == nil && !st.IsDir() {
		return c, fmt.Errorf("output folder %s is a file; give a folder", c.Out)
	}
	return c, nil
}

// sweep trains with rising rates.
func sweep(ctx context.Context, c LRFindConfig, t *run, supply *supply) (*LRFind, error) {
	m := t.trainer.Manifest()
	fixed, err := hyper(t.recipe, m)
	if err != nil {
		return nil, err
	}
	values, err := t.trainer.Hyper(fixed)
	if err != nil {
		return nil, err
	}
	if t.hyper, err = newFeed(values, m); err != nil {
		return nil, err
	}
	if err := t.hyper.teach(t.recipe, m, c.Steps); err != nil {
		return nil, err
	}
	found := &LRFind{}
	average := 0.0
	best := math.Inf(1)
	for n := range c.Steps {
		lr := c.Min * math.Pow(c.Max/c.Min, float64(n)/float64(c.Steps-1))
		l, err := supply.next(ctx)
		if err != nil {
			return nil, err
		}
		soft, err := t.teacherLogits(ctx, supply, l, n)
		if err != nil {
			return nil, err
		}
		o, err := t.parts(l.batch, soft, t.hyper.at(n, lr))
		l.release()
		if errors.Is(err, runtime.ErrNonFinite) && n > 0 {
			found.Diverged = true
			break
		}
		if err != nil {
			return nil, fmt.Errorf("step %d at learning rate %.3g: %w", n+1, lr, err)
		}
		average = smoothing*average + (1-smoothing)*o.loss
		smooth := average / (1 - math.Pow(smoothing, float64(n+1)))
		found.Sweep = append(found.Sweep, Sweep{LR: lr, Loss: o.loss, Smooth: smooth})
		if c.Progress != nil {
			c.Progress(found.Sweep[n], c.Steps)
		}
		if best = min(best, smooth); smooth > divergence*best {
			found.Diverged = true
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	return found, nil
}

// suggest reads the suggestions off the smoothed curve.
func (f *LRFind) suggest() {
	n := len(f.Sweep)
	// The first steps' average is as rough as a single loss.
	first := min(int(1/(1-smoothing)), n/10)
	if n < 3 || first >= n-1 {
		return
	}
	lowest := first
	for i := first; i < n; i++ {
		if f.Sweep[i].Smooth < f.Sweep[lowest].Smooth {
			lowest = i
		}
	}
	f.Lowest = f.Sweep[lowest].LR
	// The slope at a step is that of the straight line through its neighbours.
	reach := max(2, n/20)
	steepest, slope := -1, 0.0
	for i := first; i <= lowest; i++ {
		if s := f.slope(max(first, i-reach), min(n-1, i+reach)); s < slope {
			steepest, slope = i, s
		}
	}
	// A loss that only rises, or falls by less than it jitters, suggests
	// nothing.
	if start := f.Sweep[first].Smooth; steepest < 0 || f.Sweep[lowest].Smooth > 0.98*start {
		return
	}
	f.Steepest, f.TenthOfLowest = f.Sweep[steepest].LR, f.Lowest/10
}

// slope is the least-squares slope of the smoothed loss over the logarithm of
// the rate, from step a to step b.
func (f *LRFind) slope(a, b int) float64 {
	var x, y, xx, xy, n float64
	for _, s := range f.Sweep[a : b+1] {
		l := math.Log(s.LR)
		x, y, xx, xy, n = x+l, y+s.Smooth, xx+l*l, xy+l*s.Smooth, n+1
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

// write stores picture and table.
func (f *LRFind) write(dir string, r *recipe.Recipe) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make output folder %s: %w", dir, err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	w.Write([]string{"step", "lr", "loss", "smooth"})
	for i, s := range f.Sweep {
		w.Write([]string{strconv.Itoa(i), number(s.LR), number(s.Loss), number(s.Smooth)})
	}
	w.Flush()
	if err := atomicfile.Write(filepath.Join(dir, LRFindTable), b.Bytes()); err != nil {
		return err
	}
	return f.figure(r).Write(filepath.Join(dir, LRFindPicture))
}

// figure is the picture of a range test.
func (f *LRFind) figure(r *recipe.Recipe) metrics.Figure {
	raw := metrics.Series{Name: "each batch", Accent: metrics.Faint}
	smooth := metrics.Series{Name: "smoothed"}
	for _, s := range f.Sweep {
		raw.X, raw.Y = append(raw.X, s.LR), append(raw.Y, s.Loss)
		smooth.X, smooth.Y = append(smooth.X, s.LR), append(smooth.Y, s.Smooth)
	}
	fig := metrics.Figure{
		Title:    fmt.Sprintf("Learning-rate range test of %s on %s", r.Model.Name, r.Data.Name),
		Subtitle: fmt.Sprintf("%d steps, batch %d, %s; the loss falls fastest at %.2g and is lowest at %.2g", len(f.Sweep), r.Batch, r.Optimizer.Name, f.Steepest, f.Lowest),
		XLabel:   "learning rate", YLabel: "training loss", LogX: true,
		Series: []metrics.Series{raw, smooth},
	}
	if f.Steepest == 0 {
		fig.Subtitle = fmt.Sprintf("%d steps, batch %d, %s; the loss never fell", len(f.Sweep), r.Batch, r.Optimizer.Name)
		return fig
	}
	fig.Marks = []metrics.Mark{{X: f.Steepest, Name: fmt.Sprintf("steepest %.2g", f.Steepest)}, {X: f.TenthOfLowest, Name: fmt.Sprintf("lowest/10 %.2g", f.TenthOfLowest)}}
	if f.TenthOfLowest < f.Steepest {
		fig.Marks[0], fig.Marks[1] = fig.Marks[1], fig.Marks[0]
	}
	return fig
}
