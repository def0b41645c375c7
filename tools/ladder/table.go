package main

import (
	"bytes"
	_ "embed" // the public figures
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// line is a row of the table: the figures of all seeds of a row, in per cent.
type line struct {
	row
	seeds     int
	mean, std float64 // of the test error; std is 0 of one seed
	// change and spread are mean and standard deviation of the difference to
	// the baseline of the same seed, whose training images are the same.
	change, spread float64
	validation     float64
	seconds        float64 // of a run
}

// table is the ladder.
type table struct {
	evidence []string
	budget   config
	lines    []line
	// best is the name of the combination that was chosen.
	best string
}

// tabulate sums up the runs there are: the baseline first, the combinations
// last. Without a baseline there are no lines.
func tabulate(l *log) table {
	t := table{evidence: l.evidence, budget: l.config}
	best, tried := l.combinations()
	all := l.config.rows()
	base := map[int]float64{}
	for _, one := range l.of(all[0]) {
		base[one.seed] = one.testError
	}
	if len(base) == 0 {
		return t
	}
	if len(tried) > 0 {
		t.best = best.name
	}
	for _, r := range append(all, tried...) {
		runs := l.of(r)
		if len(runs) == 0 {
			continue
		}
		var errors, changes, validation, seconds []float64
		for _, one := range runs {
			errors, validation, seconds = append(errors, one.testError), append(validation, one.validationError), append(seconds, one.seconds)
			if b, ok := base[one.seed]; ok {
				changes = append(changes, one.testError-b)
			}
		}
		line := line{row: r, seeds: len(runs), validation: stat.Mean(validation, nil), seconds: stat.Mean(seconds, nil)}
		line.mean, line.std = meanStd(errors)
		line.change, line.spread = meanStd(changes)
		t.lines = append(t.lines, line)
	}
	return t
}

// meanStd is 0 for the deviation of one value.
func meanStd(x []float64) (mean, std float64) {
	if len(x) < 2 {
		return stat.Mean(x, nil), 0
	}
	return stat.MeanStdDev(x, nil)
}

// verdict says whether the row differs from the baseline, by a paired t-test of
// the seeds at the level of 5 %.
func (l line) verdict() string {
	if l.name == "baseline" {
		return ""
	}
	if l.seeds < 2 {
		return "one seed"
	}
	n := float64(l.seeds)
	switch bound := (distuv.StudentsT{Sigma: 1, Nu: n - 1}).Quantile(0.975) * l.spread / math.Sqrt(n); {
	case l.change < -bound:
		return "better"
	case l.change > bound:
		return "worse"
	}
	return "no clear difference"
}

// with writes a mean with its deviation, if there is one.
func (l line) with(mean, deviation float64, format string) string {
	if l.seeds < 2 {
		return fmt.Sprintf(format, mean)
	}
	return fmt.Sprintf(format+" ± %.2f", mean, deviation)
}

func (l line) changed() string { return l.with(l.change, l.spread, "%+.2f") }

//go:embed public.csv
var publicText string

// public is a published figure that a row can be set beside.
type public struct{ network, baseline, with, source string }

// readPublic returns the published test errors by row.
func readPublic() (map[string]public, error) {
	lines, err := csv.NewReader(strings.NewReader(publicText)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("public.csv: %w", err)
	}
	out := map[string]public{}
	for _, f := range lines[1:] {
		for _, figure := range f[2:4] {
			if _, err := strconv.ParseFloat(figure, 64); err != nil {
				return nil, fmt.Errorf("public.csv: %s: %w", f[0], err)
			}
		}
		out[f[0]] = public{f[1], f[2], f[3], f[4]}
	}
	return out, nil
}

// write stores the table as CSV, Markdown and PNG.
func (t table) write(out string) error {
	figures, err := readPublic()
	if err != nil {
		return err
	}
	if err := measure.WriteTable(out+".csv", t.rows(figures), t.evidence...); err != nil {
		return err
	}
	if err := atomicfile.Write(out+".md", t.markdown(figures)); err != nil {
		return err
	}
	picture, err := t.png()
	if err != nil {
		return err
	}
	return atomicfile.Write(out+".png", picture)
}

// rows is the table for programs.
func (t table) rows(figures map[string]public) [][]string {
	rows := [][]string{{"row", "trick", "without", "settings", "seeds", "test_error", "deviation", "change", "change_deviation", "verdict",
		"validation_error", "seconds_a_run", "public_network", "public_baseline", "public_with", "public_source"}}
	for _, l := range t.lines {
		p := figures[l.name]
		rows = append(rows, []string{l.name, l.trick, l.lacks, l.spelled(), strconv.Itoa(l.seeds), two(l.mean), two(l.std), two(l.change), two(l.spread), l.verdict(),
			two(l.validation), fmt.Sprintf("%.1f", l.seconds), p.network, p.baseline, p.with, p.source})
	}
	return rows
}

func two(x float64) string { return fmt.Sprintf("%.2f", x) }

// markdown is the table for people.
func (t table) markdown(figures map[string]public) []byte {
	var b bytes.Buffer
	c := t.budget
	images := "all"
	if c.Limit > 0 {
		images = strconv.Itoa(c.Limit)
	}
	fmt.Fprintf(&b, "# The ladder of tricks\n\nTest error in per cent, mean ± standard deviation over the seeds: %s on %s, %s training images, %d epochs, batch %d. ", c.Model, c.Data, images, c.Epochs, c.Batch)
	b.WriteString("The change is to the baseline of the same seed, which has the same training images; a row is called better or worse where a paired t-test of the seeds finds a change at the level of 5 %, which one or two seeds hardly ever allow and which one row in twenty passes by chance. ")
	b.WriteString("The public figures are of far larger budgets and other networks: compare the signs, not the sizes. At a short budget a small network does not yet overfit, and what regularises it costs accuracy.\n\n")
	for _, e := range t.evidence {
		b.WriteString("    " + strings.TrimPrefix(e, "# ") + "\n")
	}
	b.WriteString("\n| row | change of the recipe | seeds | test error | change | | public: without → with |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, l := range t.lines {
		published := ""
		if p, ok := figures[l.name]; ok {
			published = fmt.Sprintf("%s → %s (%s; %s)", p.baseline, p.with, p.network, p.source)
		}
		name := l.name
		if name == t.best {
			name = "**" + name + "** (best by validation)"
		}
		change := ""
		if l.name != "baseline" {
			change = l.changed()
		}
		settings := ""
		if s := l.spelled(); s != "" {
			settings = "`" + s + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s |\n", name, settings, l.seeds, l.with(l.mean, l.std, "%.2f"), change, l.verdict(), published)
	}
	return b.Bytes()
}
