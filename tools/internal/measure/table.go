package measure

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// Table spells rows as CSV, below lines of comment.
func Table(rows [][]string, comments ...string) []byte {
	var b bytes.Buffer
	for _, c := range comments {
		b.WriteString(c + "\n")
	}
	w := csv.NewWriter(&b)
	w.WriteAll(rows) // a bytes.Buffer never fails
	return b.Bytes()
}

// WriteTable replaces the file at path by the table, and makes its folder.
func WriteTable(path string, rows [][]string, comments ...string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, Table(rows, comments...))
}
