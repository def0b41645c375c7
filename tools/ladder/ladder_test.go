package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks"
)

func small(t *testing.T) config {
	t.Helper()
	c := config{Budget: usual(), out: filepath.Join(t.TempDir(), "ladder")}
	c.Seeds = 2
	return c
}

// Every registered trick has a row, or says why not; every row is a recipe, at
// the small budget and at the public one.
func TestRowsCoverTheTricks(t *testing.T) {
	c := small(t)
	covered, names := map[string]bool{}, map[string]bool{}
	for _, name := range inBaseline {
		covered[name] = true
	}
	for name := range notMeasured {
		covered[name] = true
	}
	for _, r := range c.rows() {
		covered[r.trick], covered[r.lacks] = true, true
		if names[r.name] {
			t.Errorf("two rows are called %s", r.name)
		}
		names[r.name] = true
	}
	for _, trick := range tricks.All("") {
		if !covered[trick.Name] {
			t.Errorf("no row for %s", trick.Name)
		}
		delete(covered, trick.Name)
	}
	delete(covered, "")
	for name := range covered {
		t.Errorf("a row for %s, which is not registered", name)
	}
	figures, err := readPublic()
	if err != nil {
		t.Fatal(err)
	}
	for name := range figures {
		if !names[name] {
			t.Errorf("public.csv: there is no row %q", name)
		}
	}
	for _, epochs := range []int{12, 200} {
		c.Epochs = epochs
		for _, r := range c.rows() {
			rec, err := c.recipe(r, 1)
			if err == nil {
				_, err = rec.BuildSchedule(23)
			}
			if err != nil {
				t.Errorf("%d epochs, row %s: %v", epochs, r.name, err)
			}
		}
	}
}

// fill gives every row its baseline's error plus a change.
func fill(t *testing.T, l *log, r row, change float64, noise ...float64) {
	t.Helper()
	for seed := 1; seed <= l.config.Seeds; seed++ {
		e := 50 + float64(seed) + change + noise[(seed-1)%len(noise)]
		if err := l.add(result{row: r.name, seed: seed, settings: r.spelled(), testError: e, validationError: e, seconds: 2}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTable(t *testing.T) {
	c := small(t)
	l := &log{config: c, path: c.out + "_runs.csv", evidence: []string{commandMark + "-dir DIR -seeds 2 -epochs 12", budgetMark + budgetLine(c)}}
	rows := map[string]row{}
	for _, r := range c.rows() {
		rows[r.name] = r
	}
	fill(t, l, rows["baseline"], 0, 0)
	fill(t, l, rows["cutout"], -3, 0, 0.1)
	fill(t, l, rows["without mirror"], 4, 0, -0.1)
	fill(t, l, rows["adam"], -1, 0)
	fill(t, l, rows["clip_norm"], -0.1, -2, 2)

	// The best of each kind, in order; the first pair is the first to be tried.
	_, tried := l.combinations()
	if len(tried) != 1 || tried[0].name != "cutout + adam" {
		t.Fatalf("to be tried: %+v", tried)
	}
	if s := tried[0].spelled(); s != "augment=[crop, mirror, cutout]; optimizer.name=adam; schedule.lr=0.003" {
		t.Errorf("combination %s", s)
	}
	fill(t, l, tried[0], -5, 0)
	best, tried := l.combinations()
	if best.name != "cutout + adam" || len(tried) != 2 || tried[1].name != "cutout + adam + clip_norm" {
		t.Fatalf("best %s, tried %+v", best.name, tried)
	}
	// The optimizer's learning rate stays the last word.
	if s := tried[1].settings; s[len(s)-1] != "schedule.lr=0.003" {
		t.Errorf("settings %v", s)
	}
	fill(t, l, tried[1], -4, 0)
	if best, _ := l.combinations(); best.name != "cutout + adam" {
		t.Errorf("best %s", best.name)
	}

	// What is read back is what was written.
	again, err := openLog(c)
	if err != nil {
		t.Fatal(err)
	}
	table := tabulate(again)
	by := map[string]line{}
	for _, l := range table.lines {
		by[l.name] = l
	}
	cut := by["cutout"]
	if cut.seeds != 2 || math.Abs(cut.mean-48.55) > 1e-9 || math.Abs(cut.change+2.95) > 1e-9 || math.Abs(cut.spread-math.Sqrt(0.005)) > 1e-9 {
		t.Errorf("cutout %+v", cut)
	}
	for name, want := range map[string]string{"cutout": "better", "without mirror": "worse", "clip_norm": "no clear difference", "baseline": ""} {
		if got := by[name].verdict(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := table.write(c.out); err != nil {
		t.Fatal(err)
	}

	for trick, want := range map[string]string{
		"cutout": "**Our row**: test error 48.55 ± 0.78 %, change -2.95 ± 0.07, better; baseline 51.50 ± 0.71 % (resnet8 on cifar10, 1500 training images, 12 epochs, 2 seeds; testdata/results/ladder.md).",
		"mirror": "**Our row**: test error 55.45 ± 0.64 % in a row without it (`augment=[crop]`; the baseline has it); baseline 51.50 ± 0.71 % (resnet8 on cifar10, 1500 training images, 12 epochs, 2 seeds; testdata/results/ladder.md).",
		"sgd":    "**Our row**: part of every row; the baseline's test error is 51.50 ± 0.71 % (resnet8 on cifar10, 1500 training images, 12 epochs, 2 seeds; testdata/results/ladder.md).",
		"mixup":  "**Our row**: not measured yet.",
	} {
		text := table.card("# x\nformula\n", trick)
		if got := strings.TrimPrefix(text, "# x\nformula\n\n"); got != want+"\n" {
			t.Errorf("%s:\n%s\nwant\n%s", trick, got, want)
		}
		if again := table.card(text, trick); again != text {
			t.Errorf("%s: written twice: %s", trick, again)
		}
	}

	// Other flags do not mix into these runs; -table takes those of the file.
	c.Epochs = 13
	if _, err := openLog(c); err == nil || !strings.Contains(err.Error(), "another budget") {
		t.Errorf("another budget: %v", err)
	}
	c.table = true
	if l, err := openLog(c); err != nil || l.config.Epochs != 12 {
		t.Errorf("table: %v, %+v", err, l)
	}
}
