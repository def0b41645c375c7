package data

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/manifest"
	"github.com/ortrain/ortrain/tricks/pixel"
)

func init() {
	registerFormat(Definition{
		Name:    "csv",
		Summary: "CSV lists of image files: path, label and, in one file for all, split",
		Layout:  "train.csv and val.csv or test.csv, or one file; paths relative to it",
		Index:   indexCSV,
	})
	detectors = append(detectors, detector{"csv", holds(".csv")})
}

// listedSource is an Encoded over image files that a manifest lists.
type listedSource struct {
	written
	list files.List
}

func (s *listedSource) Name(i int) string                  { return s.list.Path(i) }
func (s *listedSource) Read(i int, dst *pixel.Image) error { return readEncoded(s, i, dst) }

func (s *listedSource) Bytes(i int, buf []byte) ([]byte, error) {
	return readFile(s.list.Path(i), buf)
}

func indexCSV(_ *Definition, o Options) (*Parts, error) {
	found, err := findParts("csv", ".csv", o)
	if err != nil {
		return nil, err
	}
	classes, err := readClasses(o.Dir)
	if err != nil {
		return nil, err
	}
	var a assembly
	sources := map[string]*listedSource{}
	for _, p := range []struct {
		part  string
		paths []string
	}{{"train", found.train}, {"validation", found.validation}, {"test", found.test}} {
		for _, path := range p.paths {
			if err := readManifest(path, p.part, o, sources, &a); err != nil {
				return nil, err
			}
		}
	}
	if sources["test"] == nil {
		sources["test"], sources["validation"] = sources["validation"], nil
	}
	parts := &Parts{}
	var pieces []piece
	for _, p := range []struct {
		part string
		into **Subset
	}{{"train", &parts.Train}, {"validation", &parts.Validation}, {"test", &parts.Test}} {
		if s := sources[p.part]; s != nil {
			pieces = append(pieces, piece{s, &s.written, p.into})
		}
	}
	if sources["train"] == nil {
		return nil, fmt.Errorf("csv in %s: there are no training images", o.Dir)
	}
	if err := a.finish(classes, pieces); err != nil {
		return nil, err
	}
	parts.Problems = a.problems
	return parts, nil
}

// readManifest adds a file's rows to the sources of their parts; part is that
// of rows which do not say.
func readManifest(path, part string, o Options, sources map[string]*listedSource, a *assembly) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return manifest.Read(f, path, manifest.Options{Path: o.ImageKey, Label: o.LabelKey}, func(r manifest.Row) {
		to := part
		if r.Split != "" {
			to = r.Split
		}
		s := sources[to]
		if s == nil {
			s = &listedSource{written: written{size: o.side()}}
			sources[to] = s
		}
		file := filepath.FromSlash(r.Path)
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		s.list.Add(filepath.Dir(file), filepath.Base(file), 0)
		a.add(&s.written, r.Label, to == "train")
	}, a.problem)
}
