package web_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/x448/float16"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/runtime/web"
)

// npm makes a folder that looks like the installed package.
func npm(t *testing.T, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node_modules", "onnxruntime-web")
	for name, content := range map[string]string{"package.json": `{"name": "onnxruntime-web", "version": "9.9.9"}`} {
		put(t, filepath.Join(dir, name), content)
	}
	for _, name := range files {
		put(t, filepath.Join(dir, "dist", name), "content of "+name)
	}
	return dir
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var needed = []string{"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}

func TestFindPackage(t *testing.T) {
	dir := npm(t, needed...)
	above := filepath.Dir(filepath.Dir(dir))
	below := filepath.Join(above, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{dir, above} {
		if p, err := web.FindPackage(place); err != nil || p.Dir != dir || p.Version != "9.9.9" {
			t.Errorf("%s: %+v, %v", place, p, err)
		}
	}
	t.Chdir(below)
	if p, err := web.FindPackage(""); err != nil || p.Dir != dir {
		t.Errorf("from below: %+v, %v", p, err)
	}
	t.Chdir(t.TempDir())
	for _, place := range []string{"", t.TempDir(), npm(t, needed[0])} {
		if _, err := web.FindPackage(place); !errors.Is(err, web.ErrNoPackage) || !strings.Contains(err.Error(), place) {
			t.Errorf("%q: %v", place, err)
		}
	}
}

func TestWrite(t *testing.T) {
	p, err := web.FindPackage(npm(t, needed...))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	out := filepath.Join(root, "new", "site")
	for _, model := range []string{"first", "second"} { // the second replaces the first
		if err := web.Write(out, []byte(model), p); err != nil {
			t.Fatal(err)
		}
		var names []string
		filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(out, path)
				names = append(names, rel)
			}
			return err
		})
		want := []string{"app.js", "index.html", "model.js", "model.onnx", "ort/NOTICE", "ort/ort-wasm-simd-threaded.wasm", "ort/ort.wasm.bundle.min.mjs", "pixels.js", "style.css"}
		if !slices.Equal(names, want) {
			t.Errorf("files are %v", names)
		}
		if b, err := os.ReadFile(filepath.Join(out, "model.onnx")); err != nil || string(b) != model {
			t.Errorf("the model is %q, %v; want %q", b, err, model)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 1 {
		t.Errorf("%v are left beside the folder", left)
	}
	other := filepath.Join(root, "other")
	put(t, filepath.Join(other, "index.html"), "<p>my own page")
	if err := web.Write(other, nil, p); err == nil || !strings.Contains(err.Error(), other+" holds other files") {
		t.Errorf("another folder: %v", err)
	}
	if err := web.Write(filepath.Join(other, "index.html"), nil, p); err == nil {
		t.Error("a file was replaced by a folder")
	}
	p.Dir = t.TempDir()
	if err := web.Write(out, []byte("third"), p); err == nil {
		t.Error("a package without its files was used")
	}
	if b, _ := os.ReadFile(filepath.Join(out, "model.onnx")); string(b) != "second" {
		t.Errorf("a failed write left the model %q", b)
	}
}

// node runs JavaScript that imports the page's modules, if there is Node.js.
func node(t *testing.T, program string, in, out any) {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js is not installed: the page's JavaScript is not compared with Go here")
	}
	page, err := filepath.Abs("page")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // as ES modules, whatever folder they are in
	if err := os.CopyFS(dir, os.DirFS(page)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "package.json"), `{"type": "module"}`)
	put(t, filepath.Join(dir, "test.mjs"), `import { readFileSync } from 'node:fs';
const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const input = JSON.parse(readFileSync(0));
`+program)
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, filepath.Join(dir, "test.mjs"))
	cmd.Stdin = bytes.NewReader(text)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("node printed %.200q: %v", b, err)
	}
}

// TestPixels: the page makes the same input of an image as package classify.
func TestPixels(t *testing.T) {
	ortest.Open(t)
	r := rand.New(rand.NewPCG(5, 6))
	type job struct {
		Width, Height, Channels int
		Pixels                  string // RGBA
		Model                   map[string]any
	}
	var jobs []job
	var want [][]float32
	for _, channels := range []int{1, 3} {
		for _, filter := range []string{"bilinear", "bicubic"} {
			for _, resize := range []int{0, 9, 12} {
				info := runtime.ModelInfo{Mean: []float32{0.4, 0.5, 0.6}[:channels], Std: []float32{0.2, 0.3, 0.4}[:channels], Resize: resize}
				g := ortest.Graph{
					Inputs:   []*onnx.ValueInfoProto{ortest.Floats("images", -1, int64(channels), 8, 9)},
					Outputs:  []*onnx.ValueInfoProto{ortest.Floats("same", -1, int64(channels*72))},
					Nodes:    []*onnx.NodeProto{ortest.Node("Flatten", []string{"images"}, []string{"same"})},
					Metadata: info.Metadata(),
				}
				g.Metadata[runtime.MetaInterpolation] = filter
				m, err := classify.New("same.onnx", g.Bytes(t), classify.Options{Runtime: runtime.Options{Threads: 1}})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				for _, size := range [][2]int{{9, 8}, {1, 1}, {5, 40}, {61, 45}, {3, 2}, {90, 8}} {
					img := image.NewNRGBA(image.Rect(0, 0, size[0], size[1]))
					for i := range img.Pix {
						img.Pix[i] = uint8(r.IntN(256))
					}
					a, err := m.Images(t.Context(), img)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, a[0].Values)
					jobs = append(jobs, job{size[0], size[1], channels, base64.StdEncoding.EncodeToString(img.Pix), map[string]any{
						"channels": channels, "height": 8, "width": 9, "resize": resize, "filter": filter, "mean": info.Mean, "std": info.Std}})
				}
			}
		}
	}
	var got [][]float32
	node(t, `import { channelled, planes } from './pixels.js';
console.log(JSON.stringify(input.map((j) => Array.from(planes(
  channelled({ width: j.Width, height: j.Height, data: bytes(j.Pixels) }, j.Channels), j.Model)))));`, jobs, &got)
	for i, j := range jobs {
		for k := range want[i] {
			if math.Abs(float64(got[i][k]-want[i][k])) > 1e-5 {
				t.Errorf("%d×%d, %d channels, %v: value %d is %v on the page, %v in Go", j.Width, j.Height, j.Channels, j.Model, k, got[i][k], want[i][k])
				break
			}
		}
	}
}

// TestMetadata: the page finds the properties in the bytes of a model.
func TestMetadata(t *testing.T) {
	properties := map[string]string{"class_names": `["a","ü – 日本"]`, "empty": "", "long": strings.Repeat("x", 70000)}
	m := &onnx.ModelProto{IrVersion: 8, ProducerName: "test", Graph: &onnx.GraphProto{Name: "g",
		Initializer: []*onnx.TensorProto{onnx.Floats("w", []int64{1000}, make([]float32, 1000))}}}
	for k, v := range properties {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: k, Value: v})
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Properties map[string]string
		Errors     []string
	}
	node(t, `import { readMetadata } from './model.js';
const attempt = (b) => { try { readMetadata(b); return ''; } catch (e) { return e.message; } };
const model = bytes(input);
console.log(JSON.stringify({ Properties: readMetadata(model), Errors: [attempt(model.subarray(0, 300)), attempt(Buffer.from('<!doctype html>'))] }));`,
		base64.StdEncoding.EncodeToString(b), &got)
	if len(got.Properties) != len(properties) {
		t.Errorf("%d properties", len(got.Properties))
	}
	for k, v := range properties {
		if got.Properties[k] != v {
			t.Errorf("%s is %.50q", k, got.Properties[k])
		}
	}
	if !strings.Contains(got.Errors[0], "cut off") || got.Errors[1] == "" {
		t.Errorf("errors are %q", got.Errors)
	}
}

// TestHalves: the page rounds to float16 as the library does.
func TestHalves(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	floats := []float32{0, 1, -1, 65504, 65519, 65520, 1e9, -1e9, 6.1e-5, 6e-8, 2.98e-8, 2.9e-8, 1e-12, 0.1, 2049, 2051}
	for range 2000 {
		floats = append(floats, float32(r.NormFloat64()*math.Pow(10, float64(r.IntN(14)-8))))
	}
	var got []uint16
	node(t, `import { halves } from './pixels.js'; console.log(JSON.stringify(Array.from(halves(input))));`, floats, &got)
	for i, v := range floats {
		if want := float16.Fromfloat32(v).Bits(); got[i] != want {
			t.Errorf("%v is %#x on the page, %#x in Go", v, got[i], want)
		}
	}
}

// TestRank: the page reads answers as Go does.
func TestRank(t *testing.T) {
	var got [][]struct {
		Index int
		Share float64
		Name  string
	}
	node(t, `import { rank } from './model.js';
const names = ['a', 'b', 'c'];
console.log(JSON.stringify([
  rank({ outputNames: ['y'] }, { names }, { y: { data: Float32Array.of(0, Math.log(2), 0) } }, 2),
  rank({ outputNames: ['y'] }, { probabilities: true }, { y: { data: Float32Array.of(0.25, 0.5, 0.25) } }, 5),
  rank({ outputNames: ['v', 'i'] }, { names, probabilities: true }, { v: { data: Float32Array.of(0.75, 0.125) }, i: { data: BigInt64Array.of(2n, 0n) } }, 5),
]));`, nil, &got)
	check := func(i, k, index int, name string, share float64) {
		if c := got[i][k]; c.Index != index || c.Name != name || math.Abs(c.Share-share) > 1e-6 {
			t.Errorf("answer %d, place %d: %+v", i, k, c)
		}
	}
	if len(got) != 3 || len(got[0]) != 2 || len(got[1]) != 3 || len(got[2]) != 2 {
		t.Fatalf("answers are %+v", got)
	}
	check(0, 0, 1, "b", 0.5)
	check(1, 0, 1, "class 1", 0.5)
	check(2, 0, 2, "c", 0.75)
	check(2, 1, 0, "a", 0.125)
}
