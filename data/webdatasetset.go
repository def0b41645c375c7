package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sort"
	"strings"
	"sync"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/webdataset"
	"github.com/ortrain/ortrain/tricks/pixel"
)

func init() {
	registerFormat(Definition{
		Name:    "webdataset",
		Summary: "tar shards of images and labels, read where they lie",
		Layout:  "*train*.tar and *val*.tar or *test*.tar, or *.tar, of N.jpg with N.cls or N.json",
		Index:   indexWebDataset,
	})
	detectors = append(detectors, detector{"webdataset", holds(".tar")})
}

// shardSource is an Encoded over the members of tar shards.
type shardSource struct {
	written
	shards []*os.File
	first  []int // image of each shard
	// The place of each image in its shard.
	offsets []int64
	sizes   []uint32
}

func (s *shardSource) Read(i int, dst *pixel.Image) error { return readEncoded(s, i, dst) }

func (s *shardSource) shard(i int) *os.File {
	return s.shards[sort.SearchInts(s.first, i+1)-1]
}

func (s *shardSource) Bytes(i int, buf []byte) ([]byte, error) {
	b, err := readPart(s.shard(i), s.offsets[i], int64(s.sizes[i]), buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(i), err)
	}
	return b, nil
}

// Name reads the member's header, which lies before the file: names take no
// memory.
func (s *shardSource) Name(i int) string {
	f := s.shard(i)
	member := fmt.Sprintf("byte %d", s.offsets[i])
	if h, err := tar.NewReader(io.NewSectionReader(f, s.offsets[i]-512, 512)).Next(); err == nil {
		member = h.Name
	}
	return f.Name() + "/" + path.Clean(member)
}

// indexWebDataset reads the headers of all shards, several at a time.
func indexWebDataset(_ *Definition, o Options) (*Parts, error) {
	keys := webdataset.Options{Image: strings.ToLower(o.ImageKey), Label: strings.ToLower(o.LabelKey)}
	return indexParts("webdataset", ".tar", o, func(paths []string, training bool, a *assembly) (piece, []string, error) {
		s := &shardSource{written: written{size: o.side()}}
		s.index(paths, training, keys, a)
		return piece{source: s, written: &s.written}, nil, nil
	})
}

// scanned is what one shard holds.
type scanned struct {
	samples  []webdataset.Sample
	problems []files.Problem
}

func (s *shardSource) index(paths []string, training bool, opt webdataset.Options, a *assembly) {
	results := make([]scanned, len(paths))
	s.shards = make([]*os.File, len(paths))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	for i, p := range paths {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s.shards[i], results[i] = scanShard(p, opt)
		})
	}
	wg.Wait()
	for _, r := range results {
		s.first = append(s.first, s.Len())
		for _, x := range r.samples {
			if x.Size > MaxFile {
				a.problem(files.Problem{Path: s.shards[len(s.first)-1].Name(), Kind: files.Huge, Detail: fmt.Sprintf("the image at byte %d has %d bytes; at most %d MiB are read", x.Offset, x.Size, MaxFile>>20)})
				continue
			}
			s.offsets, s.sizes = append(s.offsets, x.Offset), append(s.sizes, uint32(x.Size))
			a.add(&s.written, x.Label, training)
		}
		a.problems = append(a.problems, r.problems...)
	}
}

func unreadable(path string, err error) scanned {
	return scanned{problems: []files.Problem{{Path: path, Kind: files.Unreadable, Detail: bare(err, path)}}}
}

func scanShard(path string, opt webdataset.Options) (*os.File, scanned) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, unreadable(path, err)
	}
	var r scanned
	webdataset.Scan(f, info.Size(), path, opt,
		func(x webdataset.Sample) { r.samples = append(r.samples, x) },
		func(p files.Problem) { r.problems = append(r.problems, p) })
	return f, r
}
