package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// brightest writes a model that tells which channel of an image is the
// brightest, and says in its metadata what info says.
func brightest(t *testing.T, info runtime.ModelInfo) string {
	t.Helper()
	g := ortest.Graph{
		Inputs:   []*onnx.ValueInfoProto{ortest.Floats("images", -1, 3, 4, 4)},
		Outputs:  []*onnx.ValueInfoProto{ortest.Floats("logits", -1, 3)},
		Nodes:    []*onnx.NodeProto{ortest.Node("ReduceMean", []string{"images"}, []string{"logits"}, onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0))},
		Metadata: info.Metadata(),
	}
	path := filepath.Join(t.TempDir(), "brightest.onnx")
	write(t, path, g.Bytes(t))
	return path
}

// whole is what a model of this program's making says of itself.
var whole = runtime.ModelInfo{ClassNames: []string{"red", "green", "blue"}, Mean: []float32{0, 0, 0}, Std: []float32{0.1, 0.1, 0.1}}

func encoded(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func solid(w, h int, c color.Color) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	return img
}

// megapixels is the beginning of a PNG file of a size.
func megapixels(w, h uint32) []byte {
	header := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h), 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(header))
}

// TestPredictOddImages: one clear line for each image that is none, answers
// for the others.
func TestPredictOddImages(t *testing.T) {
	ortest.Open(t)
	model, dir := brightest(t, whole), t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		write(t, path, b)
		return path
	}
	good := encoded(t, solid(30, 20, color.NRGBA{10, 200, 30, 255}))
	args := []string{"predict", "--onnx", model, "--top", "1", put("good.png", good),
		put("text.jpg", []byte("no picture")), put("empty.png", nil), put("cut.png", good[:len(good)-20]),
		put("huge.png", megapixels(10000, 10000)), put("pixel.png", encoded(t, solid(1, 1, color.NRGBA{10, 20, 200, 40})))}
	for _, name := range []string{"cmyk.jpg", "grey16.png", "grey_alpha8.png", "rgba8.png"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "decode", name))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, put(name, b))
	}
	o := ortrain(t, args...)
	want := fmt.Sprintf(`ortrain: %[1]s/text.jpg: not a JPEG, PNG, WebP, GIF or BMP image
ortrain: %[1]s/empty.png: the image is empty
ortrain: %[1]s/cut.png: damaged PNG: `, dir)
	if o.code != exitError || !strings.HasPrefix(o.err, want) || strings.Count(o.err, "\n") != 4 ||
		!strings.Contains(o.err, "huge.png: the image has too many pixels: 10000×10000 are 100 megapixels") {
		t.Errorf("exit code %d, complaints:\n%s", o.code, o.err)
	}
	if strings.Count(o.out, " %  ") != 6 || !strings.Contains(o.out, "good.png\n   99.81 %  green\n") || !strings.Contains(o.out, "pixel.png\n   99.86 %  blue\n") {
		t.Errorf("answers:\n%s", o.out)
	}
	var answers []job.Prediction
	if decode(t, ortrain(t, append(args, "--json")...).out, &answers); len(answers) != 6 {
		t.Errorf("answers are %+v", answers)
	}
}

// TestPredictDeclared: flags complete a model without metadata, and the
// complaint about one names them.
func TestPredictDeclared(t *testing.T) {
	ortest.Open(t)
	model := brightest(t, runtime.ModelInfo{})
	img := filepath.Join(t.TempDir(), "x.png")
	write(t, img, encoded(t, solid(8, 8, color.NRGBA{10, 200, 30, 255})))
	refused(t, []string{"predict", "--onnx", model, img}, model, "--mean", "--std", "--class-names")
	refused(t, []string{"serve", "--onnx", model}, model, "--mean", "--std", "--class-names")
	names := filepath.Join(t.TempDir(), "names.txt")
	write(t, names, []byte("r\ng \r\nb\n"))
	norm := []string{"predict", "--onnx", model, img, "--top", "1", "--mean", "0,0,0", "--std", "0.1,0.1,0.1"}
	for class, more := range map[string][]string{"1": nil, "y": {"--class-names", "x,y,z"}, "g": {"--class-names", names, "--input-size", "3x4x4", "--resize", "5"}} {
		if o := must(t, append(norm[:len(norm):len(norm)], more...)...); !strings.HasSuffix(o.out, " %  "+class+"\n") {
			t.Errorf("%v: %q; want class %s", more, o.out, class)
		}
	}
	refused(t, append(norm[:len(norm):len(norm)], "--class-names", "x,y"), model, "2 class names", "3")
	refused(t, append(norm[:len(norm):len(norm)], "--input-size", "3x5x5"), model, "3×5×5")
}
