package classify_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// means classifies C×H×W images: the logits are the means of the channels, or
// with one channel of its two halves.
func means(c, h, w int64, info runtime.ModelInfo) ortest.Graph {
	g := ortest.Graph{
		Inputs:   []*onnx.ValueInfoProto{ortest.Floats("images", -1, c, h, w)},
		Outputs:  []*onnx.ValueInfoProto{ortest.Floats("logits", -1, c)},
		Nodes:    []*onnx.NodeProto{ortest.Node("ReduceMean", []string{"images"}, []string{"logits"}, onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0))},
		Metadata: info.Metadata(),
	}
	return g
}

var colours = runtime.ModelInfo{ClassNames: []string{"red", "green", "blue"}, Mean: []float32{0.5, 0.25, 0}, Std: []float32{0.5, 0.25, 1}}

func load(t testing.TB, g ortest.Graph, o classify.Options) *classify.Model {
	t.Helper()
	ortest.Open(t)
	o.Runtime.Threads = 1
	m, err := classify.New("model.onnx", g.Bytes(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func solid(w, h int, c color.Color) image.Image {
	img := image.NewNRGBA64(image.Rect(3, 5, 3+w, 5+h)) // bounds need not begin at 0
	draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	return img
}

func encode(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// logits are what means answers to a colour under the normalisation colours.
func logits(r, g, b float64) []float32 {
	return []float32{float32((r/255 - 0.5) / 0.5), float32((g/255 - 0.25) / 0.25), float32(b / 255)}
}

func near(a, b []float32, within float64) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Abs(float64(x-y)) <= within })
}

// TestColours: images of every size and depth, as files and decoded, give the
// logits of their colour.
func TestColours(t *testing.T) {
	m := load(t, means(3, 4, 6, colours), classify.Options{Batch: 3})
	deep := color.NRGBA64{R: 0xc832, G: 0x32ff, B: 0x0a00, A: 0xffff}
	glass := color.NRGBA{R: 200, G: 50, B: 10, A: 90}
	images := []image.Image{solid(6, 4, deep), solid(1, 1, deep), solid(50, 3, deep), solid(3, 200, deep),
		solid(9, 9, glass), solid(60, 40, color.NRGBA{200, 50, 10, 255})}
	var files [][]byte
	for _, img := range images {
		files = append(files, encode(t, img))
	}
	asImages, err := m.Images(t.Context(), images...)
	if err != nil {
		t.Fatal(err)
	}
	asFiles, err := m.Files(t.Context(), files...)
	if err != nil {
		t.Fatal(err)
	}
	want := logits(200, 50, 10)
	for i := range images {
		if !near(asImages[i].Values, want, 1e-6) || !near(asFiles[i].Values, want, 1e-6) {
			t.Errorf("image %d: %v decoded, %v as a file; want %v", i, asImages[i].Values, asFiles[i].Values, want)
		}
	}
	top := asFiles[0].Top(2)
	if len(top) != 2 || top[0].Name != "red" || top[0].Index != 0 || top[1].Name != "blue" || len(asFiles[0].Top(9)) != 3 || len(asFiles[0].Top(0)) != 0 {
		t.Errorf("the best are %+v", top)
	}
	sum := 0.0
	for _, c := range asFiles[0].Top(3) {
		sum += c.Probability
	}
	if math.Abs(sum-1) > 1e-12 || math.Abs(top[0].Probability/top[1].Probability-math.Exp(float64(want[0]-want[2]))) > 1e-5 {
		t.Errorf("the probabilities are %+v, their sum %v", top, sum)
	}
}

// TestGrey: a model of one channel sees the luma of colours.
func TestGrey(t *testing.T) {
	m := load(t, means(1, 5, 5, runtime.ModelInfo{Mean: []float32{0}, Std: []float32{1}}), classify.Options{})
	for c, want := range map[color.Color]float32{
		color.NRGBA{255, 0, 0, 255}: 76, color.NRGBA{0, 255, 0, 255}: 150, color.NRGBA{0, 0, 255, 255}: 29,
		color.Gray{77}: 77, color.Gray16{0x4d00}: 77, color.NRGBA{0, 255, 0, 10}: 150,
	} {
		img := solid(7, 5, c)
		a, err := m.Files(t.Context(), encode(t, img))
		b, err2 := m.Images(t.Context(), img)
		if err != nil || err2 != nil || !near(a[0].Values, []float32{want / 255}, 1e-6) || !near(b[0].Values, a[0].Values, 1e-6) {
			t.Errorf("%v: %v, %v, %v, %v; want %v", c, a, err, b, err2, want/255)
		}
		if name := a[0].Top(1)[0].Name; name != "0" {
			t.Errorf("a class without a name is %q", name)
		}
	}
}

// TestKindsOfFiles: every committed kind of file is classified, alone as in a
// batch.
func TestKindsOfFiles(t *testing.T) {
	m := load(t, means(3, 8, 8, colours), classify.Options{Batch: 7})
	var files [][]byte
	var names []string
	for _, pattern := range []string{"*.jpg", "*.png", "*.webp", "*.gif", "*.bmp"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "decode", pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files, names = append(files, b), append(names, filepath.Base(path))
		}
	}
	all, err := m.Files(t.Context(), files...)
	if err != nil || len(all) != len(files) {
		t.Fatalf("%d answers to %d files, %v", len(all), len(files), err)
	}
	for i, file := range files {
		one, err := m.Files(t.Context(), file)
		if err != nil || !near(one[0].Values, all[i].Values, 1e-6) {
			t.Errorf("%s: %v alone, %v in a batch, %v", names[i], one, all[i].Values, err)
		}
	}
}

// huge is a PNG whose header declares a size; its data are missing.
func huge(w, h uint32) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
	header = append(header, 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(header))
}

func TestBadImages(t *testing.T) {
	m := load(t, means(3, 4, 4, colours), classify.Options{MaxPixels: 10000})
	good := encode(t, solid(100, 100, color.White))
	for name, c := range map[string]struct {
		file []byte
		want error
		says string
	}{
		"nothing":        {nil, classify.ErrEmpty, "empty"},
		"text":           {[]byte("hello, this is no picture"), classify.ErrFormat, "not a JPEG, PNG, WebP, GIF or BMP image"},
		"100 megapixels": {huge(10000, 10000), classify.ErrTooLarge, "10000×10000 are 100 megapixels, at most 0"},
		"2^30 pixels":    {huge(1<<15, 1<<15), classify.ErrTooLarge, "32768×32768"},
		"2^62 pixels":    {huge(1<<31-1, 1<<31-1), classify.ErrDamaged, "overflow"},
		"one too many":   {encode(t, solid(101, 100, color.White)), classify.ErrTooLarge, "101×100"},
		"cut":            {good[:len(good)-30], classify.ErrDamaged, "damaged"},
		"header only":    {huge(10, 10), classify.ErrDamaged, "damaged"},
		"no size":        {huge(0, 10), classify.ErrDamaged, "damaged"},
		"8 bytes":        {good[:8], classify.ErrDamaged, "damaged"},
	} {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		_, err := m.Decode(c.file)
		goruntime.ReadMemStats(&after)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %v with %q", name, err, c.want, c.says)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
	if _, err := m.Files(t.Context(), good, []byte("text")); !errors.Is(err, classify.ErrFormat) || !strings.HasPrefix(err.Error(), "image 2: ") {
		t.Errorf("the second of two: %v", err)
	}
	if _, err := m.Images(t.Context(), solid(101, 100, color.White)); !errors.Is(err, classify.ErrTooLarge) {
		t.Errorf("a large decoded image: %v", err)
	}
	if _, err := m.Images(t.Context(), nil); !errors.Is(err, classify.ErrEmpty) {
		t.Errorf("no decoded image: %v", err)
	}
	if a, err := m.Files(t.Context(), good); err != nil || !near(a[0].Values, logits(255, 255, 255), 1e-6) {
		t.Errorf("the largest image that is taken: %v, %v", a, err)
	}
}

func TestBadModels(t *testing.T) {
	ortest.Open(t)
	bare := means(3, 4, 4, runtime.ModelInfo{})
	open := means(3, -1, -1, runtime.ModelInfo{Mean: colours.Mean, Std: colours.Std})
	odd := means(3, 4, 4, colours)
	odd.Metadata[runtime.MetaInterpolation] = "lanczos"
	small := colours
	small.Resize = 3
	for name, c := range map[string]struct {
		g    ortest.Graph
		says string
		keys []string
	}{
		"nothing declared": {bare, "does not say how its input is normalised", []string{runtime.MetaMean, runtime.MetaStd}},
		"open size":        {open, "leaves the image size open", []string{runtime.MetaInputSize}},
		"two channels":     {means(2, 4, 4, runtime.ModelInfo{}), "has 2 channels", nil},
		"interpolation":    {odd, `interpolation "lanczos"`, nil},
		"resize":           {means(3, 4, 4, small), "to 3 pixels, which is less than the input's 4×4", nil},
	} {
		_, err := classify.New("model.onnx", c.g.Bytes(t), classify.Options{})
		var undeclared *runtime.UndeclaredError
		if err == nil || !strings.HasPrefix(err.Error(), "model.onnx: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
		if got := errors.As(err, &undeclared); got != (c.keys != nil) || got && !slices.Equal(undeclared.Keys, c.keys) {
			t.Errorf("%s: %v", name, undeclared)
		}
	}
	declared := colours
	declared.InputSize = [3]int{3, 4, 4}
	m := load(t, means(3, -1, -1, runtime.ModelInfo{}), classify.Options{Declared: declared})
	if a, err := m.Images(t.Context(), solid(9, 9, color.White)); err != nil || !near(a[0].Values, logits(255, 255, 255), 1e-6) || a[0].Top(1)[0].Name != "green" {
		t.Errorf("a declared model: %v, %v", a, err)
	}
	if _, err := classify.Open(filepath.Join(t.TempDir(), "none.onnx"), classify.Options{}); err == nil {
		t.Error("a missing file was opened")
	}
}

func noise(r *rand.Rand, w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = uint8(r.IntN(256))
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

// TestPreprocessingAgrees: the model with the preprocessing in its graph, fed
// with the same images, gives the same logits.
func TestPreprocessingAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := [][2]int{{40, 30}, {31, 57}, {100, 12}, {12, 12}, {29, 13}}
	for _, resize := range []int{0, 12} {
		for _, filter := range []string{deploy.Bilinear, deploy.Bicubic} {
			info := runtime.ModelInfo{Mean: []float32{0.4, 0.5, 0.6}, Std: []float32{0.2, 0.3, 0.4}, Resize: resize}
			g := means(3, 8, 9, info)
			// A row of the image for each logit, so that its place matters.
			rows := make([]float32, 3*8*9*8)
			for i := range 3 * 8 * 9 {
				rows[i*8+i/9%8] = 1. / 27
			}
			g.Initializers = []*onnx.TensorProto{onnx.Floats("rows", []int64{3 * 8 * 9, 8}, rows)}
			g.Nodes = []*onnx.NodeProto{ortest.Node("Flatten", []string{"images"}, []string{"flat"}),
				ortest.Node("MatMul", []string{"flat", "rows"}, []string{"logits"})}
			g.Outputs = []*onnx.ValueInfoProto{ortest.Floats("logits", -1, 8)}
			g.Metadata[runtime.MetaInterpolation] = filter
			outside := load(t, g, classify.Options{})
			plain, err := onnx.Unmarshal(g.Bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := deploy.Preprocess(plain, deploy.Preprocessing{Mean: info.Mean, Std: info.Std, Resize: resize, Filter: filter})
			if err != nil {
				t.Fatal(err)
			}
			b, err := onnx.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			inside, err := classify.New("whole.onnx", b, classify.Options{Runtime: runtime.Options{Threads: 1}})
			if err != nil {
				t.Fatal(err)
			}
			defer inside.Close()
			if !inside.Network().TakesPixels() {
				t.Fatal("the model does not take pixels")
			}
			var images []image.Image
			for _, s := range sizes {
				images = append(images, noise(r, s[0], s[1]), noise(r, s[0], s[1])) // two of a size run together
			}
			a, err := outside.Images(t.Context(), images...)
			if err != nil {
				t.Fatal(err)
			}
			b2, err := inside.Images(t.Context(), images...)
			if err != nil {
				t.Fatal(err)
			}
			for i := range images {
				// The graph rounds apart in a few places: by one of 255 levels in
				// at most four of the 27 values of a row.
				if !near(a[i].Values, b2[i].Values, 4./27/255/0.2) {
					t.Errorf("resize %d, %s, %v: %v outside, %v inside the graph", resize, filter, images[i].Bounds(), a[i].Values, b2[i].Values)
				}
			}
		}
	}
}

// TestConcurrent: many goroutines share a model, each gets its own answers;
// closing waits for them and later runs are refused.
func TestConcurrent(t *testing.T) {
	m := load(t, means(3, 4, 4, colours), classify.Options{})
	var wait sync.WaitGroup
	started := make(chan struct{}, 64)
	for g := range 8 {
		wait.Go(func() {
			for i := 0; ; i++ {
				v := uint8(g*30 + i%30)
				a, err := m.Images(t.Context(), solid(5, 5, color.NRGBA{v, 1, 2, 255}), solid(2, 2, color.NRGBA{3, v, 4, 255}))
				if errors.Is(err, classify.ErrClosed) && i > 0 {
					return
				}
				if err != nil || !near(a[0].Values, logits(float64(v), 1, 2), 1e-6) || !near(a[1].Values, logits(3, float64(v), 4), 1e-6) {
					t.Errorf("goroutine %d: %v, %v", g, a, err)
					return
				}
				if i < 8 {
					started <- struct{}{}
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	m := load(t, means(3, 4, 4, colours), classify.Options{})
	other := load(t, means(1, 3, 3, runtime.ModelInfo{Mean: []float32{0}, Std: []float32{1}}), classify.Options{})
	in, err := other.Convert(solid(3, 3, color.White))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []*classify.Input{nil, in, {}} {
		if _, err := m.Run(t.Context(), bad); err == nil {
			t.Errorf("%v was run", bad)
		}
	}
	if a, err := m.Run(t.Context()); err != nil || len(a) != 0 {
		t.Errorf("no inputs: %v, %v", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Images(ctx, solid(3, 3, color.White)); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
}

// TestBestClasses: a model that gives the best two classes only.
func TestBestClasses(t *testing.T) {
	plain, err := onnx.Unmarshal(means(3, 4, 4, colours).Bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, softmax := range []bool{false, true} {
		best := plain
		if softmax {
			if best, err = deploy.Softmax(best); err != nil {
				t.Fatal(err)
			}
		}
		if best, err = deploy.TopK(best, 2); err != nil {
			t.Fatal(err)
		}
		b, err := onnx.Marshal(best)
		if err != nil {
			t.Fatal(err)
		}
		ortest.Open(t)
		m, err := classify.New("best.onnx", b, classify.Options{Runtime: runtime.Options{Threads: 1}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		a, err := m.Images(t.Context(), solid(4, 4, color.NRGBA{0, 255, 100, 255}), solid(4, 4, color.NRGBA{255, 0, 0, 255}))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(a[0].Top(5)[0].Name, a[0].Top(5)[1].Name, a[1].Top(1)[0].Name, len(a[0].Top(5))); got != "greenbluered2" {
			t.Errorf("softmax %v: %v", softmax, got)
		}
		if p := a[0].Top(1)[0].Probability; !(p > 0.5 && p < 1) {
			t.Errorf("softmax %v: probability %v", softmax, p)
		}
	}
}
