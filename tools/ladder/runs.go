package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// trainAll trains the rows that the configuration asks for and then, if it
// asks for all, the combinations.
func (l *log) trainAll(ctx context.Context) error {
	all := l.config.rows()
	chosen := all
	if l.config.only != "" {
		chosen = nil
		for name := range strings.SplitSeq(l.config.only, ",") {
			i := slices.IndexFunc(all, func(r row) bool { return r.name == strings.TrimSpace(name) })
			if i < 0 {
				return fmt.Errorf("-only: there is no row %q", name)
			}
			chosen = append(chosen, all[i])
		}
	}
	// A slip in any row must show now, not hours later.
	for _, r := range chosen {
		if _, err := l.config.recipe(r, 1); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	if err := l.train(ctx, chosen); err != nil || l.config.only != "" {
		return err
	}
	return l.combine(ctx)
}

// train runs the rows, all of one seed before the next, so that a ladder that
// is not finished has every trick once.
func (l *log) train(ctx context.Context, rows []row) error {
	type todo struct {
		row
		seed int
	}
	var left []todo
	for seed := 1; seed <= l.config.Seeds; seed++ {
		for _, r := range rows {
			if _, ok := l.find(r, seed); !ok {
				left = append(left, todo{r, seed})
			}
		}
	}
	begun := time.Now()
	for i, t := range left {
		one, err := l.run(ctx, t.row, t.seed)
		if err != nil {
			return fmt.Errorf("row %s, seed %d: %w", t.name, t.seed, err)
		}
		if err := l.add(one); err != nil {
			return err
		}
		rest := time.Since(begun) / time.Duration(i+1) * time.Duration(len(left)-i-1)
		fmt.Printf("%4d of %d  seed %d  %-40s test error %5.2f %%  validation %5.2f %%  %.0f s, about %v left\n",
			i+1, len(left), t.seed, t.name, one.testError, one.validationError, one.seconds, rest.Round(time.Minute))
	}
	return nil
}

// recipe returns the recipe of one run.
func (c config) recipe(r row, seed int) (*recipe.Recipe, error) {
	out, err := c.Recipe(seed, r.assignments()...)
	if err != nil {
		return nil, err
	}
	out, err = out.Resolve()
	if err != nil {
		return nil, err
	}
	return out, check(out)
}

// check reports options of the network or the optimizer that there are not.
func check(r *recipe.Recipe) error {
	if m, ok := models.Lookup(r.Model.Name); ok {
		if _, err := m.Resolve(models.Config{Classes: 10, Input: [3]int{3, max(32, m.MinInput), max(32, m.MinInput)}, Options: r.Model.Options}); err != nil {
			return err
		}
	}
	if o, ok := optimizer.Lookup(r.Optimizer.Name); ok {
		options := maps.Clone(r.Optimizer.Options)
		for _, h := range o.Hyper {
			delete(options, h.Name) // a number that the step is fed with
		}
		if _, err := o.Resolve(options); err != nil {
			return err
		}
	}
	return nil
}

// run trains one row with one seed, or goes on with it, and tests it.
func (l *log) run(ctx context.Context, r row, seed int) (result, error) {
	begun := time.Now()
	rec, err := l.config.recipe(r, seed)
	if err != nil {
		return result{}, err
	}
	dir := filepath.Join(l.config.work, strings.NewReplacer(" ", "_", ",", "", ":", "", "/", "").Replace(r.name)+"-seed"+strconv.Itoa(seed))
	_, err = os.Stat(filepath.Join(dir, job.CheckpointFile))
	resume := err == nil
	if !resume {
		// What a run without a checkpoint left is of no use.
		if err := os.RemoveAll(dir); err != nil {
			return result{}, err
		}
	}
	trained, err := job.Train(ctx, job.Config{Recipe: rec, Out: dir, Resume: resume})
	if err != nil && resume && strings.HasPrefix(err.Error(), "cannot resume") {
		// It was left by another version of the program: begin anew.
		if err := os.RemoveAll(dir); err != nil {
			return result{}, err
		}
		trained, err = job.Train(ctx, job.Config{Recipe: rec, Out: dir})
	}
	if err != nil {
		return result{}, err
	}
	if !trained.Done {
		return result{}, errors.New("did not finish")
	}
	tested, err := job.Evaluate(ctx, job.EvalConfig{Run: dir, Execution: job.Execution{Threads: l.config.Threads}})
	if err != nil {
		return result{}, err
	}
	return result{
		row: r.name, seed: seed, settings: r.spelled(),
		testError: 100 * (1 - tested.Top1), testLoss: tested.Loss, validationError: 100 * (1 - trained.Last.Top1),
		trainLoss: trained.Last.Loss, seconds: time.Since(begun).Seconds(),
	}, os.RemoveAll(dir)
}
