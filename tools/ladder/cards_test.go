package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks"
)

// TestCards: every registered trick has a card with all of its parts, and its
// own row is what the committed ladder measured. After new runs,
// go run ./tools/ladder -table rewrites the rows.
func TestCards(t *testing.T) {
	t.Chdir("../..")
	c := config{out: committed, table: true}
	l, err := openLog(c)
	if err != nil {
		t.Fatal(err)
	}
	table := tabulate(l)
	files, err := cardFiles("tricks")
	if err != nil {
		t.Fatal(err)
	}
	for _, trick := range tricks.All("") {
		for _, part := range []string{"**Source**", "**Keys**", "**Deviations**", "**Public row**", ourRow} {
			if !strings.Contains(trick.Card, part) {
				t.Errorf("the card of %s has no %s", trick.Name, part)
			}
		}
		path, ok := files[trick.Name]
		if !ok {
			t.Errorf("no file holds the card of %s", trick.Name)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := table.card(string(text), trick.Name); want != string(text) {
			t.Errorf("%s: its row is not that of %s.csv, %q; run go run ./tools/ladder -table", path, committed, ourRow+table.ours(trick.Name))
		}
		if table.ours(trick.Name) == "not measured yet." {
			t.Errorf("the committed ladder has no row for %s", trick.Name)
		}
	}
	// The tables that people read are those of the runs.
	figures, err := readPublic()
	if err != nil {
		t.Fatal(err)
	}
	rows := measure.Table(table.rows(figures), table.evidence...)
	for ending, want := range map[string][]byte{".csv": rows, ".md": table.markdown(figures)} {
		if text, err := os.ReadFile(committed + ending); err != nil || string(text) != string(want) {
			t.Errorf("%s%s is not made of %s; run go run ./tools/ladder -table (%v)", committed, ending, l.path, err)
		}
	}
}
