// Package manifest reads CSV lists of labelled image files: a path and a label
// a row, and a third column for the part where one file lists several.
package manifest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data/files"
)

// Options name the columns; empty means the usual ones.
type Options struct{ Path, Label string }

// Row is one image.
type Row struct {
	Line        int // 1-based
	Path, Label string
	// Split is train, validation or test, or empty where there is no such
	// column.
	Split string
}

// The usual names of the columns.
var (
	pathNames  = []string{"path", "file", "filename", "file_name", "filepath", "image", "image_path", "img"}
	labelNames = []string{"label", "class", "cls", "target", "category", "class_name"}
	splitNames = []string{"split", "set", "part", "subset"}
)

// splits are the words for the parts.
var splits = map[string]string{
	"train": "train", "training": "train",
	"val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
	"test": "test", "testing": "test",
}

// Read calls row for each row of a CSV file and problem for each that is wrong
// by itself. A first row with one of the usual names of a column is a header;
// otherwise the columns are path, label and, where there is a third, split.
// Separators are commas, or tabs or semicolons if the first line has no comma.
// It fails when the file is not CSV or has no columns of such names.
func Read(from io.Reader, name string, o Options, row func(Row), problem func(files.Problem)) error {
	buffered := newPeeker(from)
	r := csv.NewReader(buffered)
	r.Comma = separator(buffered.firstLine())
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	columns := [3]int{0, 1, 2}
	for first := true; ; first = false {
		record, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				return fmt.Errorf("%s:%d: not valid CSV: %w", name, pe.Line, pe.Err)
			}
			return fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		if first {
			header, err := o.header(record)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", name, line, err)
			}
			if header != nil {
				columns = *header
				continue
			}
		}
		out := Row{Line: line}
		for i, to := range []*string{&out.Path, &out.Label, &out.Split} {
			if c := columns[i]; c >= 0 && c < len(record) {
				*to = strings.Clone(strings.TrimSpace(record[c]))
			}
		}
		if detail := out.check(columns[2] >= 0 && columns[2] < len(record)); detail != "" {
			problem(files.Problem{Path: fmt.Sprintf("%s:%d", name, line), Kind: files.NoLabel, Detail: detail})
			continue
		}
		row(out)
	}
}

// check completes a row and says what is wrong with it.
func (r *Row) check(hasSplit bool) string {
	switch {
	case r.Path == "":
		return "the row has no path"
	case r.Label == "":
		return "the row has no label"
	case hasSplit && r.Split != "":
		split, ok := splits[strings.ToLower(r.Split)]
		if !ok {
			return fmt.Sprintf("unknown split %q; write train, validation or test", r.Split)
		}
		r.Split = split
	}
	return ""
}

// header returns the columns (-1 where there is none) if a record is a header.
func (o Options) header(record []string) (*[3]int, error) {
	var names []string
	for _, f := range record {
		names = append(names, strings.ToLower(strings.TrimSpace(f)))
	}
	find := func(given string, usual []string) int {
		if given != "" {
			return slices.Index(names, strings.ToLower(given))
		}
		for _, u := range usual {
			if i := slices.Index(names, u); i >= 0 {
				return i
			}
		}
		return -1
	}
	path, label := find(o.Path, pathNames), find(o.Label, labelNames)
	if path < 0 && label < 0 && o == (Options{}) {
		return nil, nil
	}
	if path < 0 {
		return nil, fmt.Errorf("no column of paths among %s; name it %q, or say which it is (data.image_key)", strings.Join(record, ", "), pathNames[0])
	}
	if label < 0 {
		return nil, fmt.Errorf("no column of labels among %s; name it %q, or say which it is (data.label_key)", strings.Join(record, ", "), labelNames[0])
	}
	return &[3]int{path, label, find("", splitNames)}, nil
}
