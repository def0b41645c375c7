package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/packed"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// The kinds of pixels that Pack writes.
const (
	PackRaw  = "raw"  // pixels of one size
	PackJPEG = "jpeg" // encoded anew
	PackFile = "file" // the files as they are
)

// PackKinds are the kinds, the usual one first.
var PackKinds = []string{PackRaw, PackJPEG, PackFile}

// PackOptions say how to pack.
type PackOptions struct {
	// Out is the folder to write, which must not exist or be empty.
	Out string
	// Pixels is one of PackKinds; empty means raw.
	Pixels string
	// Size is the side of raw images, the largest rectangle of that shape in
	// the middle of each, or the shorter side to which larger JPEG images are
	// reduced. 0 means 256 for images of various sizes, and no change for
	// others.
	Size int
	// Quality is that of JPEG images, 1 to 100; 0 means 90.
	Quality int
	// ShardBytes is the size from which on a shard is full; 0 means 256 MiB.
	ShardBytes int64
	// Workers is the number of goroutines that convert; 0 means one per usable
	// core. The pack does not depend on it.
	Workers int
	// SkipBroken is the number of images that may be broken and are left out.
	SkipBroken int
	// Progress, if set, is called with the number of images done.
	Progress func(done, total int)
	// Report, if set, is called for every image that is left out.
	Report func(files.Problem)
}

const packSide = 256

// Pack writes a data set in ortrain's own format: all parts, each in the order
// of its images. On an error or when ctx ends nothing is left.
func Pack(ctx context.Context, d *Dataset, o PackOptions) (*packed.Manifest, error) {
	source := d.Train.Source
	_, encoded := source.(Encoded)
	if o.Pixels == "" {
		o.Pixels = PackRaw
	}
	if o.Quality == 0 {
		o.Quality = 90
	}
	if o.ShardBytes == 0 {
		o.ShardBytes = 256 << 20
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	m := packed.Manifest{Origin: d.Name, Channels: source.Size().C, Classes: d.Classes}
	switch o.Pixels {
	case PackFile:
		if !encoded {
			return nil, fmt.Errorf("%s has no image files to keep; pack it as raw or jpeg", d.Name)
		}
		m.Pixels = packed.File
	case PackJPEG:
		m.Pixels = packed.File
	case PackRaw:
		m.Pixels, m.Width, m.Height = packed.Raw, source.Size().W, source.Size().H
		if o.Size == 0 && encoded {
			o.Size = packSide
		}
		if o.Size > 0 {
			m.Width, m.Height = o.Size, o.Size
		}
	default:
		return nil, fmt.Errorf("unknown pixels %q; valid: %s", o.Pixels, strings.Join(PackKinds, ", "))
	}
	if o.Size < 0 || o.Size > 1<<14 || o.Quality < 1 || o.Quality > 100 {
		return nil, fmt.Errorf("pack: size %d, quality %d: give 1 to 16384 pixels and a quality of 1 to 100", o.Size, o.Quality)
	}
	w, err := packed.NewWriter(o.Out, m, o.ShardBytes)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	p := &packing{opt: o, manifest: m, writer: w}
	for _, part := range []*Subset{d.Train, d.Validation, d.Test} {
		if part != nil {
			p.total += part.Len()
		}
	}
	for i, part := range []*Subset{d.Train, d.Validation, d.Test} {
		if part == nil {
			continue
		}
		if err := w.Begin(packed.Parts[i]); err != nil {
			return nil, err
		}
		if err := p.part(ctx, part); err != nil {
			return nil, err
		}
	}
	return w.Commit()
}

// packing is a pack being made.
type packing struct {
	opt      PackOptions
	manifest packed.Manifest
	writer   *packed.Writer

	done, total, broken int
}

// part converts images in parallel, some at a time, and writes them in order.
func (p *packing) part(ctx context.Context, part *Subset) error {
	run := 16 * p.opt.Workers
	out := make([]converted, run)
	workers := make([]converter, p.opt.Workers)
	for first := 0; first < part.Len(); first += run {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(run, part.Len()-first)
		var next atomic.Int64
		var wg sync.WaitGroup
		for k := range workers {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					out[i].bytes, out[i].err = workers[k].convert(p, part.Source, part.At(first+i), out[i].bytes)
				}
			})
		}
		wg.Wait()
		for i := range n {
			if err := p.write(part, first+i, &out[i]); err != nil {
				return err
			}
		}
		p.done += n
		if p.opt.Progress != nil {
			p.opt.Progress(p.done, p.total)
		}
	}
	return nil
}

func (p *packing) write(part *Subset, at int, c *converted) error {
	i := part.At(at)
	name := NameOf(part.Source, i)
	if c.err != nil {
		if p.broken++; p.broken > p.opt.SkipBroken {
			return c.err
		}
		if p.opt.Report != nil {
			p.opt.Report(files.Problem{Path: name, Kind: files.Damaged, Detail: "left out: " + c.err.Error()})
		}
		return nil
	}
	return p.writer.Add(part.Label(at), filepath.Base(name), c.bytes)
}

// NameOf tells a person which image of a source it is.
func NameOf(s Source, i int) string {
	if n, ok := s.(interface{ Name(i int) string }); ok {
		return n.Name(i)
	}
	return fmt.Sprintf("image %d", i)
}

// converted is an image ready to be written.
type converted struct {
	bytes []byte
	err   error
}

// converter is a worker's memory.
type converter struct {
	source  source
	scaled  pixel.Image
	resizer pil.Resizer
	file    bytes.Buffer
}

// convert returns an image as it is to be written, in buf if that is large
// enough.
func (c *converter) convert(p *packing, from Source, i int, buf []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v", NameOf(from, i), r)
		}
	}()
	if p.opt.Pixels == PackFile {
		b, err := from.(Encoded).Bytes(i, nil)
		if err == nil {
			// What cannot be decoded is found now rather than in training.
			err = from.Read(i, &c.source.image)
		}
		return b, err
	}
	if err := from.Read(i, &c.source.image); err != nil {
		return nil, err
	}
	img := &c.source.image
	if img.C != p.manifest.Channels {
		return nil, fmt.Errorf("%s: has %d channels, not %d", NameOf(from, i), img.C, p.manifest.Channels)
	}
	if p.opt.Pixels == PackRaw {
		if img, err = c.source.fit.fit(img, pixel.Size{W: p.manifest.Width, H: p.manifest.Height, C: img.C}); err != nil {
			return nil, fmt.Errorf("%s: %w", NameOf(from, i), err)
		}
		return append(buf[:0], img.Pix...), nil
	}
	c.file.Reset()
	if err := jpeg.Encode(&c.file, standard(c.reduce(img, p.opt.Size)), &jpeg.Options{Quality: p.opt.Quality}); err != nil {
		return nil, fmt.Errorf("%s: %w", NameOf(from, i), err)
	}
	return append(buf[:0], c.file.Bytes()...), nil
}

// reduce returns an image whose shorter side is at most a number of pixels.
func (c *converter) reduce(img *pixel.Image, side int) *pixel.Image {
	short := min(img.W, img.H)
	if side == 0 || short <= side {
		return img
	}
	s := pixel.Size{W: max(1, (img.W*side+short/2)/short), H: max(1, (img.H*side+short/2)/short), C: img.C}
	c.scaled.Size, c.scaled.Pix = s, slices.Grow(c.scaled.Pix[:0], s.Elements())[:s.Elements()]
	c.resizer.Resize(view(&c.scaled), view(img), pil.Crop{W: img.W, H: img.H}, pil.Bilinear)
	return &c.scaled
}

// standard returns the image as Go's encoders take it.
func standard(m *pixel.Image) image.Image {
	bounds := image.Rect(0, 0, m.W, m.H)
	if m.C == 1 {
		return &image.Gray{Pix: m.Pix, Stride: m.W, Rect: bounds}
	}
	out := image.NewRGBA(bounds)
	for i := range m.W * m.H {
		copy(out.Pix[4*i:4*i+3], m.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}
