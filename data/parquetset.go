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
	return indexParts("parquet", ".parquet", o, func(paths []string, training bool, a *assembly) (piece, []string, error) {
		s := &rowSource{written: written{size: o.side()}}
		var err error
		s.rows, err = hfparquet.Open(paths, hfparquet.Options{Image: o.ImageKey, Label: o.LabelKey}, func(label string, ok bool) {
			if ok {
				a.add(&s.written, label, training)
			} else {
				a.noLabel(&s.written)
			}
		})
		if err != nil {
			return piece{}, nil, err
		}
		return piece{source: s, written: &s.written}, s.rows.Names, nil
	})
}
