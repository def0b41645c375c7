package job_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
)

func searchOf(t *testing.T, data string, out string) job.SearchConfig {
	t.Helper()
	return job.SearchConfig{Recipe: mnist(t, "data.dir="+data, "limit=90", "batch=8", "epochs=1", "augment=[crop]"), Out: out,
		Folds: 2, Candidates: 5, SubPolicies: 2, Steps: 2, Top: 2, Draws: 2, Images: 20}
}

// A search that is interrupted while a child trains and while policies are
// tried, and resumed each time, ends with the policy of one that was not; train
// reads it.
func TestSearchResumes(t *testing.T) {
	ortest.Open(t)
	data, dir := digits(t), t.TempDir()
	whole, cut := filepath.Join(dir, "whole.yaml"), filepath.Join(dir, "cut.yaml")
	res, err := job.Search(context.Background(), searchOf(t, data, whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Folds) != 2 || len(res.Policy) < 2 || len(res.Policy) > 8 || !(res.Seconds > 0) {
		t.Errorf("found %+v", res)
	}
	for _, f := range res.Folds {
		if len(f.Top) != 2 || f.Top[0].Loss > f.Top[1].Loss || !(f.Plain.Loss > 0) {
			t.Errorf("fold %+v", f)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "whole.search")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the search's folder is left")
	}

	interrupt := func(c job.SearchConfig, stop func(*job.SearchConfig, context.CancelFunc)) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stop(&c, cancel)
		if _, err := job.Search(ctx, c); !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted: %v", err)
		}
	}
	c := searchOf(t, data, cut)
	interrupt(c, func(c *job.SearchConfig, cancel context.CancelFunc) { c.Reporter = &stopper{3, cancel} })
	if _, err := job.Search(context.Background(), c); err == nil || !strings.Contains(err.Error(), "holds a search that is not finished; continue it with --resume") {
		t.Errorf("begun twice: %v", err)
	}
	c.Resume = true
	interrupt(c, func(c *job.SearchConfig, cancel context.CancelFunc) {
		c.Progress = func(p job.SearchProgress) {
			if p.Fold == 1 && p.Done == 3 {
				cancel()
			}
		}
	})
	other := c
	other.Draws = 3
	if _, err := job.Search(context.Background(), other); err == nil || !strings.Contains(err.Error(), "cannot resume: the draws differs") {
		t.Errorf("resumed by other settings: %v", err)
	}
	if _, err := job.Search(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	// All but the seconds.
	plain := func(path string) string {
		return regexp.MustCompile(`[0-9.]+ s on`).ReplaceAllString(string(read(t, path)), "")
	}
	if plain(whole) != plain(cut) {
		t.Errorf("the resumed search found\n%s\nthe whole one\n%s", plain(cut), plain(whole))
	}
	if !bytes.Equal(read(t, dir, "whole.png"), read(t, dir, "cut.png")) {
		t.Error("the pictures differ")
	}
	if p, err := policy.Load(cut); err != nil || len(p) != len(res.Policy) {
		t.Errorf("the policy file: %d sub-policies, %v", len(p), err)
	}
	if _, err := job.Train(context.Background(), job.Config{Out: filepath.Join(dir, "run"),
		Recipe: mnist(t, "data.dir="+data, "limit=32", "epochs=1", "augment=[{name: autoaugment, policy: "+cut+"}, crop]")}); err != nil {
		t.Errorf("training by the policy: %v", err)
	}
	if _, err := job.Search(context.Background(), searchOf(t, data, cut)); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a policy would be overwritten: %v", err)
	}
}

func TestSearchErrors(t *testing.T) {
	data, dir := digits(t), t.TempDir()
	for want, change := range map[string]func(*job.SearchConfig){
		"folds: must be 2 to 100, got 1":                    func(c *job.SearchConfig) { c.Folds = 1 },
		"top: must be 1 to 5, got 9":                        func(c *job.SearchConfig) { c.Top = 9 },
		"steps: must be 1 to 7, got 8":                      func(c *job.SearchConfig) { c.Steps = 8 },
		`objective: must be loss or accuracy, got "errors"`: func(c *job.SearchConfig) { c.Objective = "errors" },
		`the policy file "x.txt" must end in .yaml`:         func(c *job.SearchConfig) { c.Out = "x.txt" },
		"cannot resume: there is no search at":              func(c *job.SearchConfig) { c.Resume = true },
		"90 training images are too few for 2 folds and a batch of 64": func(c *job.SearchConfig) {
			if err := c.Recipe.Set("batch=64"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		c := searchOf(t, data, filepath.Join(dir, "p.yaml"))
		change(&c)
		if _, err := job.Search(context.Background(), c); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("a refused search left %v", left)
	}
}
