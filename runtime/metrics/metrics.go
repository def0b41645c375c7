// Package metrics keeps the history of a training run: metrics.csv, a row an
// epoch, and curves.png, a picture of it.
package metrics

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// The usual names of the files of a run.
const (
	File       = "metrics.csv"
	CurvesFile = "curves.png"
)

// Epoch is one row: what an epoch did.
type Epoch struct {
	// Epoch counts from 1; Step is the number of steps taken by its end.
	Epoch int
	Step  int64
	// LR is the learning rate of the epoch's last step.
	LR float64
	// TrainLoss and TrainAccuracy are means over the epoch's batches as they
	// were trained on, augmented; accuracies are between 0 and 1.
	TrainLoss, TrainAccuracy float64
	// TestLoss, TestAccuracy (top-1) and TestTop5 are those of the test set
	// after the epoch; NaN, written as an empty field, if it was not run.
	TestLoss, TestAccuracy, TestTop5 float64
	// ImagesPerSecond is the training throughput, WaitShare the share of the
	// training time spent waiting for data, Seconds the epoch's wall time
	// with evaluation.
	ImagesPerSecond, WaitShare, Seconds float64
	// TeacherWaitShare is the share spent waiting for a teacher; the column is
	// left out where it is 0 in every row, as in a run without a teacher.
	TeacherWaitShare float64
	// Skipped is the number of steps that were left out since their loss or
	// gradient was not finite; the column is left out likewise.
	Skipped float64
	// LossScale is what mixed precision scaled the loss by at the end of the
	// epoch; the column is left out likewise.
	LossScale float64
}

// column is a field of a row. Numbers that only say how fast the machine was
// are rounded; the others keep every digit.
type column struct {
	name     string
	decimals int // −1 for as many as it takes
	field    func(*Epoch) *float64
}

var columns = []column{
	{"lr", -1, func(e *Epoch) *float64 { return &e.LR }},
	{"train_loss", -1, func(e *Epoch) *float64 { return &e.TrainLoss }},
	{"train_accuracy", -1, func(e *Epoch) *float64 { return &e.TrainAccuracy }},
	{"test_loss", -1, func(e *Epoch) *float64 { return &e.TestLoss }},
	{"test_accuracy", -1, func(e *Epoch) *float64 { return &e.TestAccuracy }},
	{"test_top5", -1, func(e *Epoch) *float64 { return &e.TestTop5 }},
	{"images_per_second", 1, func(e *Epoch) *float64 { return &e.ImagesPerSecond }},
	{"wait_share", 4, func(e *Epoch) *float64 { return &e.WaitShare }},
	{"seconds", 2, func(e *Epoch) *float64 { return &e.Seconds }},
}

// optional columns are there where they say something.
var optional = []column{
	{"teacher_wait_share", 4, func(e *Epoch) *float64 { return &e.TeacherWaitShare }},
	{"skipped_steps", 0, func(e *Epoch) *float64 { return &e.Skipped }},
	{"loss_scale", -1, func(e *Epoch) *float64 { return &e.LossScale }},
}

// columnsWith are the columns of a file with those of the optional ones that
// are wanted.
func columnsWith(want func(column) bool) []column {
	all := slices.Clone(columns)
	for _, c := range optional {
		if want(c) {
			all = append(all, c)
		}
	}
	return all
}

func header(columns []column) []string {
	names := []string{"epoch", "step"}
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// Log is the history of a run, kept in memory and on disk.
type Log struct {
	path   string
	epochs []Epoch
}

// Open starts or continues the history at path. Of an existing file the first
// keep epochs stay and later rows are dropped, as a run that resumes after
// epoch keep will write them again. keep = 0 starts anew. Nothing is written
// before the first Append.
func Open(path string, keep int) (*Log, error) {
	l := &Log{path: path}
	if keep == 0 {
		return l, nil
	}
	epochs, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil // the history was removed; the training need not stop for it
	}
	if err != nil {
		return nil, err
	}
	l.epochs = slices.DeleteFunc(epochs, func(e Epoch) bool { return e.Epoch > keep })
	return l, nil
}

// Epochs returns the rows so far; the caller must not change them.
func (l *Log) Epochs() []Epoch { return l.epochs }

// Append adds a row and writes the file anew, so that it is whole at any time.
// The epoch must be later than the last one.
func (l *Log) Append(e Epoch) error {
	if n := len(l.epochs); n > 0 && e.Epoch <= l.epochs[n-1].Epoch {
		return fmt.Errorf("%s: epoch %d follows epoch %d", l.path, e.Epoch, l.epochs[n-1].Epoch)
	}
	epochs := append(l.epochs, e)
	if err := atomicfile.Write(l.path, Encode(epochs)); err != nil {
		return err
	}
	l.epochs = epochs
	return nil
}

// Encode writes rows as CSV with a header line.
func Encode(epochs []Epoch) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	columns := columnsWith(func(c column) bool {
		return slices.ContainsFunc(epochs, func(e Epoch) bool { return *c.field(&e) != 0 })
	})
	w.Write(header(columns))
	for i := range epochs {
		e := &epochs[i]
		row := []string{strconv.Itoa(e.Epoch), strconv.FormatInt(e.Step, 10)}
		for _, c := range columns {
			text := ""
			if v := *c.field(e); !math.IsNaN(v) {
				text = strconv.FormatFloat(v, 'f', c.decimals, 64)
			}
			row = append(row, text)
		}
		w.Write(row)
	}
	w.Flush() // a bytes.Buffer never fails
	return b.Bytes()
}

// Read reads a metrics file.
func Read(path string) ([]Epoch, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	epochs, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return epochs, nil
}

// Decode reads the rows of a CSV written by Encode. Errors name line and
// column.
func Decode(b []byte) ([]Epoch, error) {
	r := csv.NewReader(bytes.NewReader(b))
	names, err := r.Read()
	columns := columnsWith(func(c column) bool { return err == nil && slices.Contains(names, c.name) })
	if err != nil || !slices.Equal(names, header(columns)) {
		return nil, fmt.Errorf("not a metrics file: its first line must be %q", strings.Join(header(columns), ","))
	}
	var epochs []Epoch
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return epochs, nil
		}
		if err != nil {
			return nil, err // names the line
		}
		line, _ := r.FieldPos(0)
		e, err := decodeRow(row, columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if n := len(epochs); n > 0 && e.Epoch <= epochs[n-1].Epoch {
			return nil, fmt.Errorf("line %d: epoch %d follows epoch %d", line, e.Epoch, epochs[n-1].Epoch)
		}
		epochs = append(epochs, e)
	}
}

func decodeRow(row []string, columns []column) (e Epoch, err error) {
	if e.Epoch, err = strconv.Atoi(row[0]); err != nil {
		return e, fmt.Errorf("epoch: %q is not a whole number", row[0])
	}
	if e.Step, err = strconv.ParseInt(row[1], 10, 64); err != nil {
		return e, fmt.Errorf("step: %q is not a whole number", row[1])
	}
	for i, c := range columns {
		v := math.NaN()
		if text := row[i+2]; text != "" {
			if v, err = strconv.ParseFloat(text, 64); err != nil {
				return e, fmt.Errorf("%s: %q is not a number", c.name, text)
			}
		}
		*c.field(&e) = v
	}
	return e, nil
}
