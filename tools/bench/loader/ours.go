package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// folder is an Encoded over the JPEG files of a folder, over and over.
type folder struct {
	files []string
	n     int
	size  pixel.Size
}

func openFolder(dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{size: pixel.Size{W: 224, H: 224, C: 3}}
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); ext == ".jpeg" || ext == ".jpg" {
			f.files = append(f.files, filepath.Join(dir, e.Name()))
		}
	}
	if len(f.files) == 0 {
		return nil, fmt.Errorf("%s holds no JPEG files", dir)
	}
	f.n = len(f.files)
	return f, nil
}

func (f *folder) times(n int) *folder { return &folder{f.files, n, f.size} }

func (f *folder) Len() int          { return f.n }
func (f *folder) Size() pixel.Size  { return f.size }
func (f *folder) Classes() []string { return []string{"photograph"} }
func (f *folder) Label(int) int     { return 0 }
func (f *folder) Name(i int) string { return f.files[i%len(f.files)] }

func (f *folder) Bytes(i int, buf []byte) ([]byte, error) {
	in, err := os.Open(f.Name(i))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	buf = slices.Grow(buf[:0], int(info.Size()))[:info.Size()]
	_, err = in.ReadAt(buf, 0)
	return buf, err
}

func (f *folder) Read(i int, dst *pixel.Image) error {
	b, err := f.Bytes(i, nil)
	if err != nil {
		return err
	}
	return decode.Image(dst, b, decode.Options{})
}

// again is a Source of a packed set's images, over and over.
type again struct {
	data.Source
	n    int
	size pixel.Size
}

func (a *again) Len() int                           { return a.n }
func (a *again) Size() pixel.Size                   { return a.size }
func (a *again) Label(i int) int                    { return a.Source.Label(i % a.Source.Len()) }
func (a *again) Read(i int, dst *pixel.Image) error { return a.Source.Read(i%a.Source.Len(), dst) }

// ours returns the works that are timed.
func ours(album *folder, scratch string, images int) ([]row, error) {
	d := &data.Dataset{Name: "photographs", Classes: album.Classes(), Size: album.size, Train: data.Whole(album), Test: data.Whole(album)}
	pack := filepath.Join(scratch, "pack")
	if _, err := data.Pack(background, d, data.PackOptions{Out: pack, Size: 256, Workers: cores}); err != nil {
		return nil, err
	}
	opened, err := data.Open(data.Options{Name: "packed", Dir: pack})
	if err != nil {
		return nil, err
	}
	small := pixel.Size{W: 32, H: 32, C: 3}
	pix := make([]uint8, 50000*small.Elements())
	for i := range pix {
		pix[i] = uint8(i * 2654435761 >> 13)
	}
	cifar, err := data.NewMemory(small, []string{"a"}, pix, make([]int, 50000))
	if err != nil {
		return nil, err
	}
	const batch = 50
	crop, err := chain(album.size, true, pixel.Named{Name: "random_resized_crop"}, pixel.Named{Name: "mirror"})
	if err != nil {
		return nil, err
	}
	evaluation, err := chain(album.size, true, pixel.Named{Name: "resize", Options: &pixel.ResizeOptions{Short: 256, Interpolation: "bilinear"}})
	if err != nil {
		return nil, err
	}
	tiny, err := chain(small, false, pixel.Named{Name: "crop"}, pixel.Named{Name: "mirror"})
	if err != nil {
		return nil, err
	}
	photographs := &again{opened.Train.Source, 1 << 30, album.size}
	return []row{
		work("jpeg", album.times(1<<30), crop, batch, images/batch),
		work("evaluation", album.times(1<<30), evaluation, batch, images/batch),
		work("packed", photographs, crop, batch, 10*images/batch),
		work("cifar", cifar, tiny, 128, 1000),
	}, nil
}

func chain(size pixel.Size, vary bool, steps ...pixel.Named) (*pixel.Chain, error) {
	for i, s := range steps {
		if s.Options == nil {
			var err error
			if steps[i].Options, err = pixel.Transforms.Defaults(s.Name); err != nil {
				return nil, err
			}
		}
	}
	return pixel.NewChain(pixel.Info{In: size, Vary: vary, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}, steps...)
}

// work times a number of batches of a loader that has been running for a few:
// then what it made ahead is used up.
func work(name string, s data.Source, c *pixel.Chain, batch, batches int) row {
	r := row{work: name, implementation: "ortrain", version: version, workers: cores}
	seed := uint64(0)
	r.turn = func() (float64, error) {
		seed++
		l, err := data.NewLoader(background, data.Whole(s), data.LoaderOptions{
			Batch: batch, Train: true, Epochs: 1000, Chain: c, Seed: seed, Workers: cores})
		if err != nil {
			return 0, err
		}
		defer l.Close()
		const ahead = 6
		var begun time.Time
		for i := range ahead + batches {
			if i == ahead {
				begun = time.Now()
			}
			b, err := l.Next(background)
			if err != nil {
				return 0, err
			}
			b.Release()
		}
		return float64(batches*batch) / time.Since(begun).Seconds(), nil
	}
	return r
}

// many is a simulated set: a label byte for every image, and nothing else.
type many struct{ labels []uint8 }

func (m *many) Len() int                         { return len(m.labels) }
func (m *many) Size() pixel.Size                 { return pixel.Size{W: 1, H: 1, C: 1} }
func (m *many) Classes() []string                { return make([]string, 100) }
func (m *many) Label(i int) int                  { return int(m.labels[i]) }
func (m *many) Read(_ int, d *pixel.Image) error { d.Reset(m.Size()); return nil }

// index starts training on a hundred million images with a hundredth held
// out, and tells how long the first batch takes and how much memory there is.
func index() (row, error) {
	const n = 100_000_000
	m := &many{labels: make([]uint8, n)}
	for i := range m.labels {
		m.labels[i] = uint8(i * 31 % 97)
	}
	c, err := pixel.NewChain(pixel.Info{In: m.Size(), Mean: []float64{0}, Std: []float64{1}})
	if err != nil {
		return row{}, err
	}
	first := func(set *data.Subset) (time.Duration, error) {
		begun := time.Now()
		l, err := data.NewLoader(background, set, data.LoaderOptions{Batch: 256, Train: true, Chain: c, Workers: cores})
		if err != nil {
			return 0, err
		}
		defer l.Close()
		b, err := l.Next(background)
		if err != nil {
			return 0, err
		}
		b.Release()
		return time.Since(begun), nil
	}
	whole, err := first(data.Whole(m))
	if err != nil {
		return row{}, err
	}
	begun := time.Now()
	held, train := data.Whole(m).Split(n/100, 1)
	split := time.Since(begun)
	part, err := first(train)
	if err != nil {
		return row{}, err
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	r := row{work: "index", implementation: "ortrain", version: version, workers: cores}
	r.note = fmt.Sprintf("%d images: first batch after %.3f s; with %d held out after %.2f s more; %.2f GiB from the system at most, labels included",
		n, whole.Seconds(), held.Len(), (split + part).Seconds(), float64(s.Sys)/(1<<30))
	return r, nil
}
