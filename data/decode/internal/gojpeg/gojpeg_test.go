package gojpeg

import (
	"bytes"
	"image/color"
	"image/jpeg"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func golden(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../../../../testdata/decode", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		if out[filepath.Base(p)], err = os.ReadFile(p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The inverse DCT is the mathematical one, rounded.
func TestInverseDCT(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var cos [8][8]float64
	for x := range 8 {
		for u := range 8 {
			cos[x][u] = math.Cos(float64((2*x+1)*u)*math.Pi/16) / 2
		}
		cos[x][0] = math.Sqrt(1.0 / 8)
	}
	for trial := range 2000 {
		var b, q block
		for i := range b {
			q[i] = 1 + r.Int32N(20)
			if r.IntN(1+trial%8) == 0 {
				b[i] = (r.Int32N(401) - 200) / q[i] / int32(1+i/4)
			}
		}
		c := b
		var out [64]byte
		idct(&c, &q, out[:], 8)
		for y := range 8 {
			for x := range 8 {
				want := 128.0
				for v := range 8 {
					for u := range 8 {
						want += float64(b[8*v+u]*q[8*v+u]) * cos[x][u] * cos[y][v]
					}
				}
				want = min(max(want, 0), 255)
				if d := math.Abs(float64(out[8*y+x]) - want); d > 0.65 {
					t.Fatalf("block %d: sample (%d, %d) is %d, want %.2f", trial, x, y, out[8*y+x], want)
				}
			}
		}
	}
}

var models = map[Kind]color.Model{
	Grey: color.GrayModel, YCbCr: color.YCbCrModel, RGB: color.RGBAModel, CMYK: color.CMYKModel, YCCK: color.CMYKModel,
}

// The reduced inverse DCTs are the full one's means of 2×2, 4×4 and 8×8 samples
// of a block whose pruned coefficients are zero, to within the difference of
// their bases: of a smooth block less than two levels.
func TestReducedInverseDCTs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		var b, q block
		for i := range b {
			q[i] = 1 + r.Int32N(4)
		}
		b[0] = (r.Int32N(1601) - 800) / q[0]
		for _, i := range []int{1, 8, 9} {
			b[i] = (r.Int32N(161) - 80) / q[i]
		}
		c := b
		var whole [64]byte
		transform(&c, &q, whole[:], 8, 8)
		for _, size := range []int{4, 2, 1} {
			c = b
			var out [16]byte
			transform(&c, &q, out[:], 4, size)
			n := 8 / size
			for y := range size {
				for x := range size {
					sum := 0
					for j := range n {
						for i := range n {
							sum += int(whole[8*(y*n+j)+x*n+i])
						}
					}
					if d := math.Abs(float64(out[4*y+x]) - float64(sum)/float64(n*n)); d > 2 {
						t.Fatalf("size %d: sample (%d, %d) is %d, the mean %.2f", size, x, y, out[4*y+x], float64(sum)/float64(n*n))
					}
				}
			}
		}
	}
}

// Damaged files give the standard library's errors, and no others do.
func TestErrorsAreTheStandardLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	failed := 0
	files := golden(t, "*.jpg")
	for _, name := range slices.Sorted(maps.Keys(files)) { // in one order, so that a seed is a set of damages
		file := files[name]
		config, err := jpeg.DecodeConfig(bytes.NewReader(file))
		if err != nil {
			t.Fatal(name, err)
		}
		for range 60 {
			bad := bytes.Clone(file[:len(file)-r.IntN(2)*r.IntN(len(file))])
			for range r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			if c, err := jpeg.DecodeConfig(bytes.NewReader(bad)); err == nil && (c.Width != config.Width || c.Height != config.Height) {
				continue // refused by its size
			}
			a, errA := jpeg.Decode(bytes.NewReader(bad))
			b, errB := Decode(bad, config.Width, config.Height, 1)
			if errA != nil && strings.Contains(errA.Error(), "unknown color model") {
				errA = nil // inks without an Adobe segment are inks
			}
			if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
				t.Fatalf("%s: errors %v and %v", name, errA, errB)
			}
			if errA != nil {
				failed++
			} else if a != nil && (a.Bounds().Dx() != b.Planes[0].W || a.Bounds().Dy() != b.Planes[0].H || a.ColorModel() != models[b.Kind]) {
				t.Fatalf("%s: %T of %v, and %d×%d of kind %d", name, a, a.Bounds(), b.Planes[0].W, b.Planes[0].H, b.Kind)
			}
		}
	}
	if failed < 100 {
		t.Errorf("only %d files were damaged", failed)
	}
}

// A frame of another size is refused before memory is taken for it.
func TestSizeIsCheckedFirst(t *testing.T) {
	file := golden(t, "large_420.jpg")["large_420.jpg"]
	frame := bytes.Index(file, []byte("\xff\xc0"))
	copy(file[frame+5:], "\xea\x60\xea\x60")
	if _, err := Decode(file, 253, 187, 1); err == nil || err.Error() != "invalid JPEG format: the header gives two sizes" {
		t.Errorf("error %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, file := range golden(b, "large_420.jpg") {
		config, err := jpeg.DecodeConfig(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/gojpeg", func(b *testing.B) {
			for b.Loop() {
				if _, err := Decode(file, config.Width, config.Height, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/standard", func(b *testing.B) {
			for b.Loop() {
				if _, err := jpeg.Decode(bytes.NewReader(file)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
