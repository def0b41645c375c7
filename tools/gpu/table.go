package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strings"
)

// add prints a row and appends it to a CSV file, which it begins with the
// header if there is none yet.
func add(path string, header, row []string) error {
	fmt.Println(strings.Join(row, "  "))
	if path == "" {
		return nil
	}
	if err := folder(path); err != nil {
		return err
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	if fresh {
		w.Write(header)
	}
	w.Write(row)
	w.Flush()
	return errors.Join(w.Error(), f.Close())
}
