package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/tricks"
)

const ourRow = "**Our row**: "

// ours is the text of a trick's row: what the ladder measured of it.
func (t table) ours(trick string) string {
	base := t.lines[0]
	c := t.budget
	images := "all training images"
	if c.Limit > 0 {
		images = fmt.Sprintf("%d training images", c.Limit)
	}
	where := fmt.Sprintf(" (%s on %s, %s, %d epochs, %d seeds; testdata/results/ladder.md)", c.Model, c.Data, images, c.Epochs, base.seeds)
	var parts []string
	for _, l := range t.lines {
		switch trick {
		case l.trick:
			part := fmt.Sprintf("%s, change %s, %s", l.figure(), l.changed(), l.verdict())
			if l.name != l.trick || len(l.settings) > 0 {
				part += ", with `" + l.spelled() + "`"
			}
			parts = append(parts, part)
		case l.lacks:
			parts = append(parts, fmt.Sprintf("%s in a row without it (`%s`; the baseline has it)", l.figure(), l.spelled()))
		}
	}
	if len(parts) == 0 && slices.Contains(inBaseline, trick) {
		return fmt.Sprintf("part of every row; the baseline's test error is %s%s.", base.figure(), where)
	}
	if why, ok := notMeasured[trick]; ok && len(parts) == 0 {
		return "none in the ladder: " + why + "."
	}
	if len(parts) == 0 {
		return "not measured yet."
	}
	return fmt.Sprintf("test error %s; baseline %s%s.", strings.Join(parts, "; "), base.figure(), where)
}

// figure is a row's test error.
func (l line) figure() string { return l.with(l.mean, l.std, "%.2f") + " %" }

// card returns the text of a card with a trick's row.
func (t table) card(text, trick string) string {
	row := ourRow + t.ours(trick)
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, ourRow) })
	if _, elsewhere := notMeasured[trick]; elsewhere && i >= 0 && lines[i] != ourRow+"not measured yet." {
		return text // measured by something else than the ladder
	}
	if i < 0 {
		lines = append(lines, "", row)
	} else {
		lines[i] = row
	}
	return strings.Join(lines, "\n") + "\n"
}

// cardFiles returns the file of every registered trick's card.
func cardFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, t := range tricks.All("") {
			if t.Card == string(text) || strings.HasPrefix(string(text), "# "+t.Name+"\n") {
				files[t.Name] = path
			}
		}
		return nil
	})
	return files, err
}

// writeCards rewrites the row in every trick's card.
func writeCards(dir string, t table) error {
	files, err := cardFiles(dir)
	if err != nil {
		return err
	}
	for _, trick := range tricks.All("") {
		path, ok := files[trick.Name]
		if !ok {
			return fmt.Errorf("no card of %s below %s", trick.Name, dir)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if want := t.card(string(text), trick.Name); want != string(text) {
			if err := atomicfile.Write(path, []byte(want)); err != nil {
				return err
			}
		}
	}
	return nil
}
