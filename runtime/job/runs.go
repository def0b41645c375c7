package job

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// RunsFile is the usual name of the picture of all runs below a folder.
const RunsFile = "runs.png"

// RunsConfig says which runs to compare.
type RunsConfig struct {
	// Dir is the folder below which the runs lie, at most a few folders deep,
	// or a run itself.
	Dir string
	// Sort orders the runs: one of RunOrders, or nothing for the first.
	Sort string
	// Out is the PNG file to draw the runs in; empty draws none.
	Out string
}

// The states of a run.
const (
	RunFinished = "finished" // all epochs, or ended early by its stopping rule
	RunStopped  = "stopped"  // can be resumed
	RunRunning  = "running"  // a process holds its folder
	RunDamaged  = "damaged"  // see Problem
	NoRun       = "no run"   // a folder of something else
)

// RunSummary is what a run has come to. Figures that it does not have yet are
// nil.
type RunSummary struct {
	// Name is the run's folder, relative to the one that was asked about.
	Name  string `json:"name"`
	State string `json:"state"`
	// Problem says in one line what is wrong with a folder.
	Problem string `json:"problem,omitempty"`
	Model   string `json:"model,omitempty"`
	Data    string `json:"data,omitempty"`
	Seed    uint64 `json:"seed"`
	// Epochs of Planned epochs are complete.
	Epochs  int `json:"epochs"`
	Planned int `json:"planned_epochs"`
	// Best and Last are accuracies on HeldOut images ("test" or "validation"),
	// between 0 and 1; BestEpoch counts from 1.
	HeldOut   string   `json:"held_out,omitempty"`
	Best      *float64 `json:"best_accuracy"`
	BestEpoch int      `json:"best_epoch,omitempty"`
	Last      *float64 `json:"last_accuracy"`
	// TrainLoss and TestLoss are those of the last epoch.
	TrainLoss *float64 `json:"train_loss"`
	TestLoss  *float64 `json:"test_loss"`
	// ImagesPerSecond is the median over the epochs, Seconds the time of all,
	// with evaluation.
	ImagesPerSecond *float64 `json:"images_per_second"`
	Seconds         float64  `json:"seconds"`
	// Differs holds the keys, other than those above, in which its recipe departs
	// from most of the runs'; where there is no majority, all values. Options that
	// only go with a name which differs are left out.
	Differs map[string]string `json:"differs,omitempty"`

	recipe *recipe.Recipe
	rows   []metrics.Epoch
}

// RunList compares the runs below a folder.
type RunList struct {
	Dir  string       `json:"dir"`
	Runs []RunSummary `json:"runs"`
	// Picture is the file that was drawn, with Drawn of the runs; empty for
	// none.
	Picture string `json:"picture,omitempty"`
	Drawn   int    `json:"drawn,omitempty"`
}

// Runs lists and compares the runs below a folder. A damaged run, or a folder
// of something else, is listed with its problem. Nothing is written but the
// picture.
func Runs(c RunsConfig) (*RunList, error) {
	order := runOrders[0]
	if c.Sort != "" {
		i := slices.IndexFunc(runOrders, func(o runOrder) bool { return o.name == c.Sort })
		if i < 0 {
			return nil, fmt.Errorf("runs cannot be sorted by %q%s", c.Sort, nearest.Hint(c.Sort, RunOrders()))
		}
		order = runOrders[i]
	}
	list := &RunList{Dir: c.Dir}
	if err := list.find(c.Dir, 0); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(list.Runs, func(r RunSummary) bool { return r.State != NoRun }) {
		return nil, fmt.Errorf("there are no runs below %s; give the folder in which train --out made some", c.Dir)
	}
	slices.SortFunc(list.Runs, func(a, b RunSummary) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), order.compare(&a, &b), strings.Compare(a.Name, b.Name))
	})
	if err := list.compare(); err != nil {
		return nil, err
	}
	if c.Out == "" {
		return list, nil
	}
	return list, list.draw(c.Out)
}

// rank puts the folders that are no runs behind those that are.
func rank(r *RunSummary) int {
	if r.recipe == nil {
		return 1
	}
	return 0
}

// mostDeep is how many folders down runs are looked for.
const mostDeep = 4

// find adds the runs in and below a folder.
func (l *RunList) find(dir string, depth int) error {
	generations := false
	if exists(filepath.Join(dir, RecipeFile)) {
		r := summarise(dir)
		if generations = r.recipe != nil && r.recipe.Teacher.Generations > 0 && exists(GenerationDir(dir, 1)); !generations {
			l.add(dir, r)
			return nil
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && depth == 0 {
		return fmt.Errorf("cannot list runs: %w", err)
	}
	before := len(l.Runs)
	if err != nil {
		l.add(dir, RunSummary{State: NoRun, Problem: "cannot be read: " + atomicfile.Cause(err).Error()})
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		// Links to folders count at the first level only, so that none leads
		// round in circles.
		folder := e.IsDir()
		if st, err := os.Stat(path); depth == 0 && err == nil {
			folder = st.IsDir()
		}
		if folder && depth < mostDeep && !strings.HasPrefix(e.Name(), ".") {
			if err := l.find(path, depth+1); err != nil {
				return err
			}
		}
	}
	if depth == 0 || generations {
		return nil
	}
	// Of a folder without a run only the outermost is told.
	for _, r := range l.Runs[before:] {
		if r.State != NoRun {
			return nil
		}
	}
	l.Runs = l.Runs[:before]
	l.add(dir, RunSummary{State: NoRun, Problem: "holds no run (no " + RecipeFile + ")"})
	return nil
}

func (l *RunList) add(dir string, r RunSummary) {
	var err error
	if r.Name, err = filepath.Rel(l.Dir, dir); err != nil || r.Name == "." {
		r.Name = filepath.Base(dir)
	}
	l.Runs = append(l.Runs, r)
}

// summarise reads what a run folder holds.
func summarise(dir string) (s RunSummary) {
	damaged := func(err error) RunSummary {
		s.State, s.Problem = RunDamaged, strings.Join(strings.Fields(err.Error()), " ")
		return s
	}
	r, err := recipe.Load(filepath.Join(dir, RecipeFile))
	if err != nil {
		return damaged(err)
	}
	s.recipe = r
	s.Model, s.Data, s.Seed, s.Planned, s.HeldOut = r.Model.Name, r.Data.Name, r.Seed, r.Epochs, "test"
	if r.Data.Validation != 0 {
		s.HeldOut = "validation"
	}
	if path := filepath.Join(dir, MetricsFile); exists(path) {
		rows, err := metrics.Read(path)
		if err != nil {
			return damaged(err)
		}
		s.figures(rows)
	}
	found, err := newestCheckpoint(dir)
	if err != nil {
		return damaged(err)
	}
	if len(found.damaged) > 0 {
		s.Problem = strings.Join(strings.Fields(found.damaged[0].why.Error()), " ")
		if found.saved == nil {
			s.State = RunDamaged
			return s
		}
	}
	s.State = RunStopped
	var held *runlock.HeldError
	switch {
	case errors.As(runlock.Check(dir), &held):
		s.State = RunRunning
	case found.saved == nil:
		s.Problem = "no checkpoint yet"
	default:
		p, err := readPosition(found.saved)
		if err != nil {
			return damaged(fmt.Errorf("%s: %w", found.path, err))
		}
		s.Epochs = found.saved.Epoch
		if p.Stopped || s.Epochs >= s.Planned {
			s.State = RunFinished
		}
	}
	return s
}

// figures takes what a run's history says.
func (s *RunSummary) figures(rows []metrics.Epoch) {
	if s.rows = rows; len(rows) == 0 {
		return
	}
	number := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	last := rows[len(rows)-1]
	s.Epochs = last.Epoch
	s.Last, s.TrainLoss, s.TestLoss = number(last.TestAccuracy), number(last.TrainLoss), number(last.TestLoss)
	var speeds []float64
	for _, e := range rows {
		if v := number(e.TestAccuracy); v != nil && (s.Best == nil || *v > *s.Best) {
			s.Best, s.BestEpoch = v, e.Epoch
		}
		if v := number(e.ImagesPerSecond); v != nil {
			speeds = append(speeds, *v)
		}
		if v := number(e.Seconds); v != nil {
			s.Seconds += *v
		}
	}
	if slices.Sort(speeds); len(speeds) > 0 {
		s.ImagesPerSecond = &speeds[len(speeds)/2]
	}
}

// draw overlays the runs that have something to show, the best ones if they are
// too many.
func (l *RunList) draw(path string) error {
	var shown []*RunSummary
	for i := range l.Runs {
		if len(l.Runs[i].rows) > 0 {
			shown = append(shown, &l.Runs[i])
		}
	}
	if len(shown) == 0 {
		return nil
	}
	o := metrics.Overlay{Title: "Runs below " + l.Dir, Subtitle: fmt.Sprintf("%d runs", len(shown))}
	if len(shown) == 1 {
		o.Subtitle = "1 run"
	}
	if n := len(shown); n > metrics.MostOverlaid {
		best := slices.Clone(shown)
		slices.SortStableFunc(best, descending(func(r *RunSummary) *float64 { return r.Best }))
		best = best[:metrics.MostOverlaid]
		shown = slices.DeleteFunc(shown, func(r *RunSummary) bool { return !slices.Contains(best, r) })
		o.Subtitle = fmt.Sprintf("the best %d of %d runs", len(shown), n)
	}
	for _, r := range shown {
		name := r.Name
		if r.Best != nil {
			name = fmt.Sprintf("%s (%.2f %%)", r.Name, 100**r.Best)
		}
		o.Runs = append(o.Runs, metrics.Course{Name: name, Epochs: r.rows})
	}
	if err := o.Write(path); err != nil {
		return err
	}
	l.Picture, l.Drawn = path, len(shown)
	return nil
}
