package runtime

import (
	"context"
	"fmt"
	"maps"

	"github.com/x448/float16"
)

// forward runs a classifier on batches of any size, with buffers that grow to
// the largest batch seen. It serves one goroutine.
type forward struct {
	session        *Session
	images, logits Port
	// rank names the int64 output that tells the classes of the values; ""
	// without one.
	rank    string
	image   [3]int // C, H, W
	classes int    // values of an image
	// batch is the model's batch size if it is fixed, 0 if it is free.
	batch int
	// fixed are the inputs other than the images.
	fixed map[string]*Tensor

	// bound, if set, holds the fixed inputs already.
	bound *binding

	padded      []float32 // a last, partial batch of a fixed-batch model
	paddedBytes []uint8
	half        []float16.Float16
	out         []float32
	ranks       []int64
}

// run returns the logits of a batch of labelled images, n×K, in memory that the
// next call overwrites.
func (f *forward) run(b Batch) ([]float32, error) {
	return f.runContext(context.Background(), b, len(b.Labels))
}

// runContext is run for n images.
func (f *forward) runContext(ctx context.Context, b Batch, n int) ([]float32, error) {
	size := f.image[0] * f.image[1] * f.image[2]
	if have := len(b.Images) + len(b.Bytes); n < 1 || have != n*size {
		return nil, fmt.Errorf("%s: %d values given for %d images of %d×%d×%d, which have %d",
			f.session.name, have, n, f.image[0], f.image[1], f.image[2], n*size)
	}
	return f.chunks(n, func(at, end, chunk int, values []float32, ranks []int64) (err error) {
		var x *Tensor
		if b.Bytes != nil {
			x, err = WrapBytes(fill(&f.paddedBytes, b.Bytes[at*size:end*size], chunk*size), f.shape(chunk)...)
		} else {
			x, err = f.planes(fill(&f.padded, b.Images[at*size:end*size], chunk*size), chunk)
		}
		if err != nil {
			return err
		}
		defer x.Close()
		return f.chunk(ctx, x, chunk, values, ranks)
	})
}

// fill returns values, behind which it puts as many zeros as make n, in room.
func fill[T any](room *[]T, values []T, n int) []T {
	if len(values) == n {
		return values
	}
	if cap(*room) < n {
		*room = make([]T, n)
	}
	full := (*room)[:n]
	clear(full[copy(full, values):])
	return full
}

// runPixels is runContext for pixels, n×h×w×C.
func (f *forward) runPixels(ctx context.Context, pixels []uint8, n, h, w int) ([]float32, error) {
	size := h * w * f.image[0]
	if n < 1 || h < 1 || w < 1 || len(pixels) != n*size {
		return nil, fmt.Errorf("%s: %d values given for %d images of %d×%d×%d pixels, which have %d",
			f.session.name, len(pixels), n, h, w, f.image[0], n*size)
	}
	return f.chunks(n, func(at, end, chunk int, values []float32, ranks []int64) error {
		x, err := WrapBytes(fill(&f.paddedBytes, pixels[at*size:end*size], chunk*size), int64(chunk), int64(h), int64(w), int64(f.image[0]))
		if err != nil {
			return err
		}
		defer x.Close()
		return f.chunk(ctx, x, chunk, values, ranks)
	})
}

// chunks calls run for as many images at a time as the model takes, from at to
// end, with the place for the values of chunk images.
func (f *forward) chunks(n int, run func(at, end, chunk int, values []float32, ranks []int64) error) ([]float32, error) {
	if f.batch == 0 && f.session.device {
		// Every other number of images would be planned anew: a shorter batch at
		// the end of many is filled up instead.
		f.batch = n
	}
	chunk := n
	if f.batch > 0 {
		chunk = f.batch
	}
	room := (n + chunk - 1) / chunk * chunk * f.classes
	if cap(f.out) < room {
		f.out = aligned(room)
	}
	if f.rank != "" && cap(f.ranks) < room {
		f.ranks = make([]int64, room)
	}
	out, ranks := f.out[:room], f.ranks[:min(room, cap(f.ranks))]
	for at := 0; at < n; at += chunk {
		from, to := at*f.classes, (at+chunk)*f.classes
		var r []int64
		if f.rank != "" {
			r = ranks[from:to]
		}
		if err := run(at, min(at+chunk, n), chunk, out[from:to], r); err != nil {
			return nil, err
		}
	}
	return out[:n*f.classes], nil
}

// planes makes the input tensor of n images in the model's type.
func (f *forward) planes(images []float32, n int) (*Tensor, error) {
	if f.images.Type != Float16 {
		return WrapTensor(images, f.shape(n)...)
	}
	half := f.halves(len(images))
	for i, v := range images {
		half[i] = float16.Fromfloat32(v)
	}
	return WrapHalves(half, f.shape(n)...)
}

// shape is that of n images.
func (f *forward) shape(n int) []int64 {
	return []int64{int64(n), int64(f.image[0]), int64(f.image[1]), int64(f.image[2])}
}

func (f *forward) halves(n int) []float16.Float16 {
	if cap(f.half) < n {
		f.half = make([]float16.Float16, n)
	}
	return f.half[:n]
}

func (f *forward) chunk(ctx context.Context, x *Tensor, n int, values []float32, ranks []int64) error {
	shape := []int64{int64(n), int64(f.classes)}
	var half []float16.Float16
	var y *Tensor
	var err error
	if f.logits.Type == Float16 {
		half = make([]float16.Float16, len(values))
		y, err = WrapHalves(half, shape...)
	} else {
		y, err = WrapTensor(values, shape...)
	}
	if err != nil {
		return err
	}
	defer y.Close()
	in, out := map[string]*Tensor{f.images.Name: x}, map[string]*Tensor{f.logits.Name: y}
	if f.rank != "" {
		r, err := WrapInts(ranks, shape...)
		if err != nil {
			return err
		}
		defer r.Close()
		out[f.rank] = r
	}
	if f.bound != nil {
		err = f.bound.run(ctx, in, out)
	} else {
		maps.Copy(in, f.fixed)
		err = f.session.RunContext(ctx, in, out)
	}
	if err != nil {
		return err
	}
	for i, v := range half {
		values[i] = v.Float32()
	}
	return nil
}
