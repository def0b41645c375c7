package data

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/packed"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Summary describes a data set.
type Summary struct {
	Name    string        `json:"name"`
	Classes []string      `json:"classes"`
	Parts   []PartSummary `json:"parts"`
	// Sizes are those of the images as they are stored.
	Sizes Sizes `json:"sizes"`
	// Problems are the files that cannot be used.
	Problems []files.Problem `json:"problems,omitempty"`
	// Colours is nil unless they were asked for.
	Colours *Colours `json:"colours,omitempty"`
}

// PartSummary describes one part of a set.
type PartSummary struct {
	Name   string `json:"name"`
	Images int    `json:"images"`
	// Counts are the images of each class.
	Counts []int `json:"counts"`
}

// Sizes sums up the sizes of images.
type Sizes struct {
	// Looked is the number of images that were looked at, Of of so many.
	Looked int `json:"looked"`
	Of     int `json:"of"`
	// Each is the smallest, the middle and the largest.
	Width  [3]int `json:"width"`
	Height [3]int `json:"height"`
	// Formats counts the images of each file format.
	Formats map[string]int `json:"formats,omitempty"`
}

// Colours are statistics over all training images in the size in which
// training takes them, so that large files weigh no more than small ones.
type Colours struct {
	Images int `json:"images"`
	// Mean and Std are per channel, of pixels scaled to [0, 1].
	Mean []float64 `json:"mean"`
	Std  []float64 `json:"std"`
	// PCA are the components of the colours; nil for grey images.
	PCA *pixel.PCA `json:"pca,omitempty"`
}

// mostHeaders is how many images Summarise looks at unless it reads all.
const mostHeaders = 1000

// Summarise describes a data set. With colours it reads every training image;
// otherwise it looks at the headers of at most 1,000. progress may be nil.
// Files that cannot be used become the summary's problems.
func Summarise(ctx context.Context, o Options, colours bool, progress func(done, total int)) (*Summary, *Dataset, error) {
	o.SkipBroken = int(^uint(0) >> 1)
	set, err := Open(o)
	if err != nil {
		return nil, nil, err
	}
	s := &Summary{Name: set.Name, Classes: set.Classes, Problems: set.Problems}
	for i, p := range []*Subset{set.Train, set.Validation, set.Test} {
		if p != nil {
			s.Parts = append(s.Parts, PartSummary{packed.Parts[i], p.Len(), p.Counts()})
		}
	}
	m := &measuring{set: set.Train, colours: colours, step: 1}
	if n := set.Train.Len(); !colours && n > mostHeaders {
		m.step = (n + mostHeaders - 1) / mostHeaders
	}
	if err := m.run(ctx, progress); err != nil {
		return nil, nil, err
	}
	s.Sizes = m.sizes()
	s.Problems = append(s.Problems, m.problems()...)
	if colours {
		s.Colours, err = m.colourStatistics()
	}
	return s, set, err
}

// measuring goes through the images of a subset.
type measuring struct {
	set     *Subset
	colours bool
	step    int
	workers []*measurer
}

// measurer is one worker's part. Its sums are whole numbers, so that the
// result does not depend on who does what.
type measurer struct {
	source  source
	widths  map[int]int
	heights map[int]int
	formats map[string]int
	levels  [3][256]uint64
	sums    pixel.ColourSums
	images  int
	looked  int
	broken  map[int]files.Problem
}

func (m *measuring) run(ctx context.Context, progress func(done, total int)) error {
	total := (m.set.Len() + m.step - 1) / m.step
	var next, done atomic.Int64
	var mu sync.Mutex // of progress
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		w := &measurer{widths: map[int]int{}, heights: map[int]int{}, formats: map[string]int{}, broken: map[int]files.Problem{}}
		m.workers = append(m.workers, w)
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < total && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				w.image(m, i*m.step)
				if n := int(done.Add(1)); progress != nil && (n%64 == 0 || n == total) {
					mu.Lock()
					progress(n, total)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (w *measurer) image(m *measuring, at int) {
	i := m.set.At(at)
	s := m.set.Source
	defer func() {
		if r := recover(); r != nil {
			w.broken[at] = files.Problem{Path: NameOf(s, i), Kind: files.Damaged, Detail: fmt.Sprintf("the decoder failed: %v", r)}
		}
	}()
	fail := func(err error) {
		name := NameOf(s, i)
		w.broken[at] = files.Problem{Path: name, Kind: kindOf(err), Detail: bare(err, name)}
	}
	if e, ok := s.(Encoded); ok {
		file, err := e.Bytes(i, nil)
		if err != nil {
			fail(err)
			return
		}
		head, err := decode.Info(file)
		if err != nil {
			fail(err)
			return
		}
		if tooLarge(head) {
			fail(fmt.Errorf("declares %d×%d pixels", head.W, head.H))
			return
		}
		w.formats[head.Format]++
		w.size(head.W, head.H)
		if !m.colours {
			return
		}
	}
	if err := s.Read(i, &w.source.image); err != nil {
		fail(err)
		return
	}
	img := &w.source.image
	if _, ok := s.(Encoded); !ok {
		w.size(img.W, img.H)
	}
	if !m.colours {
		return
	}
	img, err := w.source.fit.fit(img, s.Size())
	if err != nil {
		fail(err)
		return
	}
	w.images++
	for p, v := range img.Pix {
		w.levels[p%img.C][v]++
	}
	if img.C == 3 {
		w.sums.Add(img)
	}
}

func (w *measurer) size(width, height int) {
	w.looked++
	w.widths[width]++
	w.heights[height]++
}

func (m *measuring) sizes() Sizes {
	s := Sizes{Of: m.set.Len(), Formats: map[string]int{}}
	widths, heights := map[int]int{}, map[int]int{}
	for _, w := range m.workers {
		s.Looked += w.looked
		for k, n := range w.formats {
			s.Formats[k] += n
		}
		for k, n := range w.widths {
			widths[k] += n
		}
		for k, n := range w.heights {
			heights[k] += n
		}
	}
	s.Width, s.Height = spread(widths), spread(heights)
	return s
}

// spread returns the smallest, the middle and the largest of counted values.
func spread(counts map[int]int) (out [3]int) {
	var values []int
	total := 0
	for v, n := range counts {
		values, total = append(values, v), total+n
	}
	if total == 0 {
		return out
	}
	slices.Sort(values)
	out[0], out[2] = values[0], values[len(values)-1]
	seen := 0
	for _, v := range values {
		if seen += counts[v]; 2*seen >= total {
			out[1] = v
			break
		}
	}
	return out
}

func (m *measuring) problems() []files.Problem {
	all := map[int]files.Problem{}
	var order []int
	for _, w := range m.workers {
		for at, p := range w.broken {
			all[at] = p
			order = append(order, at)
		}
	}
	slices.Sort(order)
	var out []files.Problem
	for _, at := range order {
		out = append(out, all[at])
	}
	return out
}

func (m *measuring) colourStatistics() (*Colours, error) {
	c := &Colours{}
	var levels [3][256]uint64
	var sums pixel.ColourSums
	for _, w := range m.workers {
		c.Images += w.images
		sums.Merge(&w.sums)
		for ch := range levels {
			for v, n := range w.levels[ch] {
				levels[ch][v] += n
			}
		}
	}
	if c.Images == 0 {
		return nil, fmt.Errorf("none of the training images can be read")
	}
	for ch := range m.set.Source.Size().C {
		mean, std := moments(&levels[ch])
		c.Mean, c.Std = append(c.Mean, mean), append(c.Std, std)
	}
	if m.set.Source.Size().C == 3 {
		pca, err := sums.PCA()
		if err != nil {
			return nil, err
		}
		c.PCA = &pca
	}
	return c, nil
}

// moments returns the mean and the deviation of counted levels, scaled to
// [0, 1].
func moments(levels *[256]uint64) (mean, std float64) {
	var n, sum, square float64
	for v, count := range levels {
		n += float64(count)
		sum += float64(count) * float64(v)
	}
	mean = sum / n
	for v, count := range levels {
		square += float64(count) * (float64(v) - mean) * (float64(v) - mean)
	}
	return mean / 255, math.Sqrt(square/n) / 255
}
