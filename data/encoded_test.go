package data

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// album is an Encoded in memory.
type album struct {
	size  pixel.Size
	files [][]byte
	names []string
	panic int // image at which reading panics; -1 for none
}

func (a *album) Len() int                           { return len(a.files) }
func (a *album) Size() pixel.Size                   { return a.size }
func (a *album) Classes() []string                  { return []string{"a", "b", "c"} }
func (a *album) Label(i int) int                    { return i % 3 }
func (a *album) Name(i int) string                  { return a.names[i] }
func (a *album) Read(i int, dst *pixel.Image) error { return readEncoded(a, i, dst) }
func (a *album) Bytes(i int, buf []byte) ([]byte, error) {
	if i == a.panic {
		panic("the disk is on fire")
	}
	return append(buf[:0], a.files[i]...), nil
}

var photographs = pixel.Size{W: 24, H: 24, C: 3}

// photos returns an album of n images: the golden files over and over.
func photos(t testing.TB, n int) *album {
	t.Helper()
	found, err := filepath.Glob("../testdata/decode/*.*")
	if err != nil || len(found) < 10 {
		t.Fatal(found, err)
	}
	a := &album{size: photographs, panic: -1}
	for i := range n {
		path := found[i%len(found)]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a.files, a.names = append(a.files, b), append(a.names, fmt.Sprintf("%d/%s", i, filepath.Base(path)))
	}
	return a
}

func photoOptions(t testing.TB) LoaderOptions {
	t.Helper()
	var steps []pixel.Named
	for _, name := range []string{"random_resized_crop", "mirror", "cutout"} {
		o, err := pixel.Transforms.Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, pixel.Named{Name: name, Options: o})
	}
	c, err := pixel.NewChain(pixel.Info{In: photographs, Vary: true, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, steps...)
	if err != nil {
		t.Fatal(err)
	}
	return LoaderOptions{Batch: 8, Train: true, Epochs: 2, Chain: c, Seed: 11, Workers: 2}
}

func TestPhotographsDoNotDependOnTheWorkers(t *testing.T) {
	var first []string
	for _, workers := range []int{1, 2, 5} {
		opt := photoOptions(t)
		opt.Workers = workers
		got := drain(t, start(t, Whole(photos(t, 60)), opt))
		if first == nil {
			first = got
		}
		if strings.Join(got, " ") != strings.Join(first, " ") {
			t.Errorf("%d workers make other batches", workers)
		}
	}
	opt := photoOptions(t)
	opt.Start = Position{Epoch: 1, Batch: 3}
	if got := drain(t, start(t, Whole(photos(t, 60)), opt)); strings.Join(got, " ") != strings.Join(first[7+3:], " ") {
		t.Error("resumed in the middle of an epoch, other batches come")
	}
}

// A broken image's place is taken by its neighbour, whose label it has, the
// same in every batch for any workers; each is told once.
func TestBrokenPhotographs(t *testing.T) {
	broken := func() *album {
		a := photos(t, 60)
		a.files[7] = a.files[7][:30]
		a.files[8] = nil
		a.files[40] = []byte("no image")
		return a
	}
	run := func(workers, skip int) (digests []string, told []string, err error) {
		opt := photoOptions(t)
		opt.Workers, opt.SkipBroken = workers, skip
		opt.Batch = 60
		l := start(t, Whole(broken()), opt)
		l.OnBroken(func(err error) { told = append(told, err.Error()) })
		for {
			b, err := l.Next(context.Background())
			if errors.Is(err, io.EOF) {
				return digests, told, nil
			}
			if err != nil {
				return digests, told, err
			}
			for i, image := range b.Indices {
				if image == 7 || image == 8 || image == 40 || b.Labels[i] != image%3 {
					t.Fatalf("image %d with label %d", image, b.Labels[i])
				}
			}
			digests = append(digests, digest(b))
			b.Release()
		}
	}
	one, told, err := run(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	three, _, err := run(3, 3)
	if err != nil || strings.Join(one, " ") != strings.Join(three, " ") {
		t.Errorf("3 workers substitute other images than 1: %v", err)
	}
	if len(told) != 3 || !strings.HasPrefix(told[0], "7/") || !strings.HasPrefix(told[1], "8/") || !strings.HasPrefix(told[2], "40/") {
		t.Errorf("told of %q", told)
	}
	if _, told, err = run(2, 2); err == nil || !strings.HasPrefix(err.Error(), "40/") || !strings.Contains(err.Error(), "more than the 2 broken images that data.skip_broken allows") || len(told) != 2 {
		t.Errorf("a third broken image: told of %q, error %v", told, err)
	}
	if _, _, err = run(2, 0); err == nil || !strings.Contains(err.Error(), "data.skip_broken") || strings.ContainsAny(err.Error(), "\n") {
		t.Errorf("no broken image allowed: error %v", err)
	}
}

func TestPhotographPanicNamesIt(t *testing.T) {
	a := photos(t, 16)
	a.panic = 5
	l := start(t, Whole(a), photoOptions(t))
	for {
		b, err := l.Next(context.Background())
		if err == nil {
			b.Release()
			continue
		}
		if !strings.HasPrefix(err.Error(), a.names[5]+", epoch ") || !strings.Contains(err.Error(), "panic: the disk is on fire") {
			t.Errorf("error %v", err)
		}
		return
	}
}

func TestPhotographsNeedAChainForAnySize(t *testing.T) {
	opt := photoOptions(t)
	opt.Chain = chain(t, photographs)
	if l, err := NewLoader(context.Background(), Whole(photos(t, 16)), opt); err == nil || !strings.Contains(err.Error(), "various sizes") {
		l.Close()
		t.Errorf("error %v", err)
	}
}

// What torchvision makes of files for training and evaluation:
// tools/parity/decode. With libjpeg-turbo every pixel agrees; otherwise the
// mean stays within a level.
func TestPreparedPhotographsAreTorchvisions(t *testing.T) {
	const side = 48
	found, err := filepath.Glob("../testdata/decode/prepared/*.png")
	if err != nil || len(found) != 36 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	exact := strings.HasPrefix(decode.Decoder(), "libjpeg-turbo")
	if !exact {
		t.Log("libjpeg-turbo is not installed: pixels are compared in the mean only")
	}
	for _, path := range found {
		name := strings.TrimSuffix(filepath.Base(path), ".png")
		file, kind := name[:strings.LastIndex(name, ".")], name[strings.LastIndex(name, ".")+1:]
		b, err := os.ReadFile(filepath.Join("../testdata/decode", file))
		if err != nil {
			t.Fatal(err)
		}
		head, err := decode.Info(b)
		if err != nil {
			t.Fatal(err)
		}
		whole := pixel.Size{W: head.W, H: head.H, C: 3}
		var f pixel.Fitter
		var p pixel.Params
		var short, x, y, w, h int
		switch {
		case kind == "middle":
			r := pixel.Resize{W: side, H: side, Filter: pil.Bilinear}
			f, p = r, r.Sample(nil, whole)
		case strings.HasPrefix(kind, "short"):
			if _, err := fmt.Sscanf(kind, "short%d", &short); err != nil {
				t.Fatal(err)
			}
			r := pixel.Resize{W: side, H: side, Short: short, Filter: pil.Bilinear}
			f, p = r, r.Sample(nil, whole)
		default:
			if _, err := fmt.Sscanf(kind, "crop_%d_%d_%d_%d", &x, &y, &w, &h); err != nil {
				t.Fatal(err)
			}
			f, p.Int = pixel.RandomResizedCrop{W: side, H: side, Filter: pil.Bilinear}, [16]int{x, y, w, h}
		}
		wants := f.Wants(&p, whole)
		var part pixel.Part
		// Whole and shrunk: the latter is allowed to differ by a level in the
		// mean.
		for _, gap := range []int{1 << 10, gap} {
			if err := decode.Part(&part, b, decode.Options{}, decode.Window{X: wants.X, Y: wants.Y, W: wants.W, H: wants.H}, gap*wants.OutW, gap*wants.OutH); err != nil {
				t.Fatal(err)
			}
			got := &pixel.Image{}
			got.Reset(pixel.Size{W: side, H: side, C: 3})
			f.ApplyPart(got, &part, &p)
			mean, worst := differs(t, got, path)
			if mean > 1 || exact && part.Shrink == 1 && worst > 0 {
				t.Errorf("%s, shrunk by %d: differs from torchvision by up to %v, %.3f in the mean", name, part.Shrink, worst, mean)
			}
		}
	}
}

func differs(t *testing.T, got *pixel.Image, path string) (mean, worst float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if b := want.Bounds(); b.Dx() != got.W || b.Dy() != got.H {
		t.Fatalf("%s is %v", path, b)
	}
	for i := range got.W * got.H {
		r, g, b, _ := want.At(i%got.W, i/got.W).RGBA()
		for c, v := range []uint32{r, g, b} {
			d := math.Abs(float64(got.Pix[3*i+c]) - float64(v>>8))
			mean, worst = mean+d, max(worst, d)
		}
	}
	return mean / float64(3*got.W*got.H), worst
}

// In steady state a batch takes no new memory.
func TestPhotographsReuseMemory(t *testing.T) {
	if !strings.HasPrefix(decode.Decoder(), "libjpeg-turbo") {
		t.Skip("libjpeg-turbo is not installed; Go's decoder allocates for every image")
	}
	a := photos(t, 64)
	for i := range a.files { // the other formats' decoders allocate
		a.files[i] = a.files[11]
		if !strings.HasSuffix(a.names[11], ".jpg") {
			t.Fatal(a.names[11])
		}
	}
	opt := photoOptions(t)
	opt.Epochs = 1000
	l := start(t, Whole(a), opt)
	next := func() {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	for range 40 {
		next()
	}
	if n := testing.AllocsPerRun(80, next); n > 1 {
		t.Errorf("%v allocations a batch of %d", n, opt.Batch)
	}
}
