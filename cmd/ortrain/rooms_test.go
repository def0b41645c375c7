package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRooms holds each folder of the top level to what it may import: graphs
// and recipes can be built where nothing can run them, images are read without
// ONNX, and the product never leans on its tools.
func TestRooms(t *testing.T) {
	const module, binding = "github.com/ortrain/ortrain/", "github.com/yalue/onnxruntime_go"
	rooms := map[string][]string{ // what a room's own packages may import besides
		"graphs":  {"data/atomicfile"}, // artifacts are replaced whole, too
		"tricks":  nil,
		"data":    {"tricks"},
		"runtime": {"graphs", "tricks", "data"},
		"cmd":     {"graphs", "tricks", "data", "runtime"},
	}
	for room, others := range rooms {
		files := 0
		err := filepath.WalkDir(filepath.Join("..", "..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			files++
			for _, spec := range f.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if name == binding && room != "runtime" {
					t.Errorf("%s imports ONNX Runtime's binding, which is runtime's", path)
				}
				inside, own := strings.CutPrefix(name, module)
				if own && !slices.ContainsFunc(append(others, room), func(allowed string) bool {
					return inside == allowed || strings.HasPrefix(inside, allowed+"/")
				}) {
					t.Errorf("%s imports %s, which %s may not", path, inside, room)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if files == 0 {
			t.Errorf("no file found in %s", room)
		}
	}
}
