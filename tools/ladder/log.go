package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// result is one run's line. Errors are in per cent.
type result struct {
	row                        string
	seed                       int
	settings                   string
	testError, validationError float64
	testLoss, trainLoss        float64
	seconds                    float64
}

// log is the file of all runs.
type log struct {
	config   config
	path     string
	evidence []string // the comment lines at its head
	results  []result
}

const budgetMark = "# budget: "

// openLog reads the runs there are, which must be of the same budget.
func openLog(c config) (*log, error) {
	l := &log{config: c, path: c.out + "_runs.csv"}
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		l.evidence, err = evidence(c)
		return l, err
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			l.evidence = append(l.evidence, strings.TrimRight(line, "\n"))
		}
	}
	if c.table {
		if l.config, err = l.recorded(); err != nil {
			return nil, err
		}
	} else {
		for _, line := range l.evidence {
			if had, ok := strings.CutPrefix(line, budgetMark); ok && had != budgetLine(c) {
				return nil, fmt.Errorf("%s holds runs of another budget (%s); give another -out, or the same flags", l.path, had)
			}
		}
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	lines, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.path, err)
	}
	for i, f := range lines {
		if i == 0 {
			continue
		}
		one, err := parse(f)
		if err != nil {
			return nil, fmt.Errorf("%s: row %d: %w", l.path, i, err)
		}
		l.results = append(l.results, one)
	}
	return l, nil
}

const commandMark = "# command: go run ./tools/ladder "

// recorded returns the configuration that the runs were made with.
func (l *log) recorded() (config, error) {
	c := l.config
	for _, line := range l.evidence {
		if had, ok := strings.CutPrefix(line, commandMark); ok {
			fs := flag.NewFlagSet("", flag.ContinueOnError)
			c.Budget = usual()
			c.Flags(fs)
			return c, fs.Parse(strings.Fields(had))
		}
	}
	return c, fmt.Errorf("%s does not say which command made it", l.path)
}

func budgetLine(c config) string { return strings.Join(c.Settings(), " ") }

// evidence is what a reader needs to judge the figures.
func evidence(c config) ([]string, error) {
	lib, err := runtime.FindLibrary("")
	if err != nil {
		return nil, err
	}
	if err := runtime.Open(lib); err != nil {
		return nil, err
	}
	return []string{
		commandMark + c.Command(),
		budgetMark + budgetLine(c),
		fmt.Sprintf("# begun %s with ortrain %s, ONNX Runtime %s, on %s", time.Now().UTC().Format(time.DateOnly), artifact.Version, lib.Version, runtime.CPUName()),
	}, nil
}

var columns = []string{"row", "seed", "settings", "test_error", "validation_error", "test_loss", "train_loss", "seconds"}

func parse(f []string) (result, error) {
	if len(f) != len(columns) {
		return result{}, fmt.Errorf("has %d fields, not %d", len(f), len(columns))
	}
	r := result{row: f[0], settings: f[2]}
	var err error
	if r.seed, err = strconv.Atoi(f[1]); err != nil {
		return r, err
	}
	for i, to := range []*float64{&r.testError, &r.validationError, &r.testLoss, &r.trainLoss, &r.seconds} {
		if *to, err = strconv.ParseFloat(f[3+i], 64); err != nil {
			return r, err
		}
	}
	return r, nil
}

// find returns the run of a row as it is now: after a change of its settings
// the old one does not count.
func (l *log) find(r row, seed int) (result, bool) {
	for _, one := range l.results {
		if one.row == r.name && one.seed == seed && one.settings == r.spelled() {
			return one, true
		}
	}
	return result{}, false
}

// add keeps a run, in place of one of the same row and seed.
func (l *log) add(one result) error {
	kept := l.results[:0:0]
	for _, r := range l.results {
		if r.row != one.row || r.seed != one.seed {
			kept = append(kept, r)
		}
	}
	l.results = append(kept, one)
	rows := [][]string{columns}
	for _, r := range l.results {
		rows = append(rows, []string{r.row, strconv.Itoa(r.seed), r.settings, fmt.Sprintf("%.2f", r.testError), fmt.Sprintf("%.2f", r.validationError),
			fmt.Sprintf("%.4f", r.testLoss), fmt.Sprintf("%.4f", r.trainLoss), fmt.Sprintf("%.1f", r.seconds)})
	}
	return measure.WriteTable(l.path, rows, l.evidence...)
}

// of returns a row's runs, by seed.
func (l *log) of(r row) []result {
	var list []result
	for seed := 1; seed <= l.config.Seeds; seed++ {
		if one, ok := l.find(r, seed); ok {
			list = append(list, one)
		}
	}
	return list
}
