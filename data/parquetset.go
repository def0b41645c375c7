package data

import (
	"github.com/ortrain/ortrain/data/hfparquet"
	"github.com/ortrain/ortrain/tricks/pixel"
)

func init() {
	registerFormat(Definition{
		Name:    "parquet",
		Summary: "Parquet files of images and labels, as Hugging Face writes them",
		Layout:  "*train*.parquet and *validation*.parquet or *test*.parquet, or *.parquet, also in data/",
		Index:   indexParquet,
	})
	detectors = append(detectors, detector{"parquet", holds(".parquet")})
}

// rowSource is an Encoded over the rows of Parquet files.
type rowSource struct {
	written
	rows *hfparquet.Set
}

func (s *rowSource) Name(i int) string { return s.rows.Name(i) }

// Bytes implements Encoded without copying.
func (s *rowSource) Bytes(i int, _ []byte) ([]byte, error) { return s.rows.Bytes(i) }

func (s *rowSource) Read(i int, dst *pixel.Image) error { return readStored(s, i, dst) }

func indexParquet(_ *Definition, o Options) (*Parts, error) {
	found, err := findParts("parquet", ".parquet", o)
	if err != nil {
		return nil, err
	}
	given, err := readClasses(o.Dir)
	if err != nil {
		return nil, err
	}
	var a assembly
	var pieces []piece
	parts := &Parts{}
	for _, p := range []struct {
		paths    []string
		training bool
		into     **Subset
	}{{found.train, true, &parts.Train}, {found.validation, false, &parts.Validation}, {found.test, false, &parts.Test}} {
		if len(p.paths) == 0 {
			continue
		}
		s := &rowSource{written: written{size: o.side()}}
		s.rows, err = hfparquet.Open(p.paths, hfparquet.Options{Image: o.ImageKey, Label: o.LabelKey}, func(label string, ok bool) {
			if ok {
				a.add(&s.written, label, p.training)
			} else {
				a.noLabel(&s.written)
			}
		})
		if err != nil {
			return nil, err
		}
		if p.training && given == nil {
			given = s.rows.Names
		}
		pieces = append(pieces, piece{s, &s.written, p.into})
	}
	if err := a.finish(given, pieces); err != nil {
		return nil, err
	}
	parts.Problems = a.problems
	return parts, nil
}
