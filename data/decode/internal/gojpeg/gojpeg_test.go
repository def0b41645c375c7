package gojpeg

import (
	"bytes"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// Damaged files give the standard library's errors, and no others do.
func TestErrorsAreTheStandardLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	failed := 0
	for name, file := range golden(t, "*.jpg") {
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
			b, errB := Decode(bad, config.Width, config.Height)
			if (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
				t.Fatalf("%s: errors %v and %v", name, errA, errB)
			}
			if errA != nil {
				failed++
			} else if a.Bounds() != b.Bounds() || a.ColorModel() != b.ColorModel() {
				t.Fatalf("%s: %T of %v and %T of %v", name, a, a.Bounds(), b, b.Bounds())
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
	if _, err := Decode(file, 253, 187); err == nil || err.Error() != "invalid JPEG format: the header gives two sizes" {
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
				if _, err := Decode(file, config.Width, config.Height); err != nil {
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
