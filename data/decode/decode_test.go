package decode

import (
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

const golden = "../../testdata/decode"

// files returns the golden files whose names match.
func files(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(golden, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no files %s in %s: %v", pattern, golden, err)
	}
	return found
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decoders runs a test with each JPEG decoder there is.
func decoders(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("go", func(t *testing.T) { test(t, Options{Pure: true}) })
	t.Run("libjpeg-turbo", func(t *testing.T) {
		needLibrary(t)
		test(t, Options{})
	})
}

func needLibrary(t *testing.T) {
	t.Helper()
	if openLibjpeg() == nil {
		t.Skip("libjpeg-turbo is not installed (Debian: libjpeg62-turbo), so only the decoder in Go is tested")
	}
}

// difference returns the largest and the mean difference of two images.
func difference(t testing.TB, a, b *pixel.Image) (worst int, mean float64) {
	t.Helper()
	if a.Size != b.Size || len(a.Pix) != len(b.Pix) {
		t.Fatalf("sizes %v and %v", a.Size, b.Size)
	}
	sum := 0
	for i, v := range a.Pix {
		d := int(v) - int(b.Pix[i])
		if d < 0 {
			d = -d
		}
		worst, sum = max(worst, d), sum+d
	}
	return worst, float64(sum) / float64(len(a.Pix))
}

// What Pillow makes of every kind of file: tools/parity/decode.
func TestPixelsArePillows(t *testing.T) {
	decoders(t, func(t *testing.T, o Options) {
		for _, path := range files(t, "*.*") {
			name := filepath.Base(path)
			want := readPNG(t, filepath.Join(golden, "pixels", name+".png"))
			var got pixel.Image
			if err := Image(&got, read(t, path), o); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			worst, mean := difference(t, &got, want)
			if worst > 0 {
				t.Errorf("%s: differs from Pillow by up to %d, %.3f in the mean", name, worst, mean)
			}
		}
	})
}

func readPNG(t testing.TB, path string) *pixel.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	out := &pixel.Image{}
	out.Reset(pixel.Size{W: b.Dx(), H: b.Dy(), C: 3})
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := plain(img.At(x, y))
			copy(out.Pix[3*(y*b.Dx()+x):], c[:])
		}
	}
	return out
}

// A part is cut out of the whole, exactly, wherever it lies.
func TestPartIsCutFromTheWhole(t *testing.T) {
	decoders(t, func(t *testing.T, o Options) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, path := range files(t, "*.*") {
			file := read(t, path)
			for _, grey := range []bool{false, true} {
				o.Grey = grey
				var whole pixel.Image
				if err := Image(&whole, file, o); err != nil {
					t.Fatal(path, err)
				}
				for range 12 {
					v := Window{W: 1 + r.IntN(whole.W), H: 1 + r.IntN(whole.H)}
					v.X, v.Y = r.IntN(whole.W-v.W+1), r.IntN(whole.H-v.H+1)
					var p pixel.Part
					if err := Part(&p, file, o, v, v.W, v.H); err != nil {
						t.Fatal(path, v, err)
					}
					if p.Shrink != 1 || p.Of != whole.Size || p.X > v.X || p.Y > v.Y || p.X+p.W < v.X+v.W || p.Y+p.H < v.Y+v.H {
						t.Fatalf("%s: window %+v gave %v at (%d, %d) shrunk by %d", path, v, p.Size, p.X, p.Y, p.Shrink)
					}
					for y := range p.H {
						a := p.Pix[y*p.W*p.C : (y+1)*p.W*p.C]
						b := whole.Pix[((p.Y+y)*whole.W+p.X)*p.C:][:len(a)]
						if string(a) != string(b) {
							t.Fatalf("%s: window %+v: row %d differs from the whole image's", filepath.Base(path), v, y)
						}
					}
				}
			}
		}
	})
}

// A shrunk pixel is about the mean of those it stands for; the colours are
// enlarged by other filters, so only luma is compared closely.
func TestShrunkPixelsAreMeans(t *testing.T) {
	decoders(t, func(t *testing.T, o Options) {
		o.Grey = true
		for _, name := range []string{"large_420.jpg", "large_422.jpg", "progressive_420.jpg", "orientation_6.jpg", "orientation_3.jpg", "grey.jpg"} {
			file := read(t, filepath.Join(golden, name))
			var whole pixel.Image
			if err := Image(&whole, file, o); err != nil {
				t.Fatal(err)
			}
			for _, shrink := range []int{2, 4, 8} {
				v := Window{8, 8, whole.W - 19, whole.H - 17}
				var p pixel.Part
				if err := Part(&p, file, o, v, v.W/shrink, v.H/shrink); err != nil {
					t.Fatal(err)
				}
				if p.Shrink != shrink {
					t.Fatalf("%s: shrunk by %d, want %d", name, p.Shrink, shrink)
				}
				if p.X > v.X || p.Y > v.Y || p.X+p.W*shrink < v.X+v.W || p.Y+p.H*shrink < v.Y+v.H {
					t.Fatalf("%s: %v at (%d, %d) does not hold the window %+v", name, p.Size, p.X, p.Y, v)
				}
				for y := range p.H {
					for x := range p.W {
						sum, n := 0, 0
						for j := range shrink {
							for i := range shrink {
								if wx, wy := p.X+x*shrink+i, p.Y+y*shrink+j; wx >= 0 && wy >= 0 && wx < whole.W && wy < whole.H {
									sum += int(whole.Pix[wy*whole.W+wx])
									n++
								}
							}
						}
						if n < shrink*shrink {
							continue // beyond the edge the encoder made pixels up
						}
						// Values that were clamped before the mean differ more.
						if mean := float64(sum) / float64(n); float64(p.Pix[y*p.W+x])-mean > 3 || mean-float64(p.Pix[y*p.W+x]) > 3 {
							t.Fatalf("%s, shrunk by %d: pixel (%d, %d) is %d, the mean %.2f", name, shrink, x, y, p.Pix[y*p.W+x], mean)
						}
					}
				}
			}
		}
	})
}

func TestInfo(t *testing.T) {
	for name, want := range map[string]Header{
		"baseline_420.jpg":  {"jpeg", 61, 45, 1},
		"orientation_3.jpg": {"jpeg", 61, 45, 3},
		"orientation_6.jpg": {"jpeg", 45, 61, 6},
		"rgb8.png":          {"png", 61, 45, 1},
		"lossy.webp":        {"webp", 61, 45, 1},
		"moving.gif":        {"gif", 61, 45, 1},
		"bits.bmp":          {"bmp", 61, 45, 1},
	} {
		got, err := Info(read(t, filepath.Join(golden, name)))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func TestDecodingReusesMemory(t *testing.T) {
	needLibrary(t)
	file := read(t, filepath.Join(golden, "large_420.jpg"))
	var img pixel.Image
	var p pixel.Part
	if n := testing.AllocsPerRun(20, func() {
		if err := Image(&img, file, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := Part(&p, file, Options{}, Window{20, 20, 100, 90}, 50, 45); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for an image and a part", n)
	}
}

func TestDamage(t *testing.T) {
	good := read(t, filepath.Join(golden, "large_420.jpg"))
	progressive := read(t, filepath.Join(golden, "progressive_420.jpg"))
	huge := append([]byte(nil), good...)
	frame := strings.Index(string(huge), "\xff\xc0")
	copy(huge[frame+5:], "\xea\x60\xea\x60") // 60,000 × 60,000
	hugePNG := append([]byte(nil), read(t, filepath.Join(golden, "rgb8.png"))...)
	copy(hugePNG[16:], "\x00\x00\xea\x60\x00\x00\xea\x60\x08\x02\x00\x00\x00\x7c\xe5\xbf\x6e")
	for _, c := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "the file is empty", nil},
		{"text", "not a JPEG, PNG", []byte("hello, world")},
		{"no header", "the file ends in the header", good[:20]},
		{"header only", "the file ends in the middle", good[:frame+700]},
		{"half", "the file ends in the middle of the image", good[:len(good)/2]},
		{"half progressive", "the file ends in the middle of the image", progressive[:len(progressive)/2]},
		{"huge", "JPEG of 60000×60000 pixels; at most 100 megapixels", huge},
		{"huge PNG", "", hugePNG},
		{"PNG cut", "damaged PNG", read(t, filepath.Join(golden, "rgb8.png"))[:900]},
		{"WebP cut", "damaged WebP", read(t, filepath.Join(golden, "lossy.webp"))[:300]},
		{"GIF cut", "damaged GIF", read(t, filepath.Join(golden, "plain.gif"))[:300]},
		{"BMP cut", "damaged BMP", read(t, filepath.Join(golden, "rgb.bmp"))[:300]},
	} {
		decoders(t, func(t *testing.T, o Options) {
			var img pixel.Image
			err := Image(&img, c.file, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			}
		})
	}
	// Wherever a window lies, a file that is cut is found out.
	decoders(t, func(t *testing.T, o Options) {
		var p pixel.Part
		if err := Part(&p, good[:len(good)-40], o, Window{0, 0, 64, 64}, 64, 64); err == nil {
			t.Error("a truncated file passed because its window lies above the damage")
		}
	})
	var img pixel.Image
	if err := Image(&img, good, Options{MaxPixels: 1000}); err == nil || !strings.Contains(err.Error(), "253×187") {
		t.Errorf("a limit of 1000 pixels: error %v", err)
	}
}

// Orientation directories of every kind of damage are passed over.
func TestExifOrientation(t *testing.T) {
	little := "Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
	big := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00"
	for _, c := range []struct {
		segment string
		want    int
	}{
		{little, 6}, {big, 8}, {"", 0}, {little[:20], 0}, {strings.Replace(little, "\x06", "\x09", 1), 0},
		{strings.Replace(little, "II", "IM", 1), 0}, {strings.Replace(little, "\x08\x00\x00\x00", "\xff\xff\xff\xff", 1), 0},
	} {
		if got := exifOrientation([]byte(c.segment)); got != c.want {
			t.Errorf("%q: orientation %d, want %d", c.segment, got, c.want)
		}
	}
}

func FuzzImage(f *testing.F) {
	for _, path := range files(f, "*.*") {
		f.Add(read(f, path), uint8(0))
	}
	f.Add([]byte("\xff\xd8\xff"), uint8(3))
	f.Fuzz(func(t *testing.T, file []byte, at uint8) {
		for _, pure := range []bool{true, false} {
			o := Options{MaxPixels: 1 << 16, Pure: pure}
			var img pixel.Image
			err := Image(&img, file, o)
			if err == nil && (len(img.Pix) != img.Elements() || img.W*img.H > o.MaxPixels) {
				t.Fatalf("%v with %d bytes", img.Size, len(img.Pix))
			}
			info, err := Info(file)
			if err != nil || info.W < 1 || info.H < 1 {
				continue
			}
			v := Window{X: int(at) % info.W, Y: int(at) % info.H}
			v.W, v.H = (info.W-v.X+1)/2, (info.H-v.Y+1)/2
			var p pixel.Part
			err = Part(&p, file, o, v, 8, 8)
			if err != nil && strings.Contains(err.Error(), "the decoder failed") && sniff(file) == "jpeg" {
				t.Fatal(err)
			}
			if err == nil && p.Of != (pixel.Size{W: info.W, H: info.H, C: 3}) {
				t.Fatalf("a part of %v of an image of %d×%d", p.Of, info.W, info.H)
			}
		}
	})
}

func FuzzExifOrientation(f *testing.F) {
	f.Add([]byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, segment []byte) {
		if o := exifOrientation(segment); o < 0 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}

func BenchmarkImage(b *testing.B) {
	for _, pure := range []bool{false, true} {
		for _, name := range []string{"large_420.jpg", "progressive_420.jpg"} {
			b.Run(fmt.Sprintf("%s/pure=%v", name, pure), func(b *testing.B) {
				file := read(b, filepath.Join(golden, name))
				var img pixel.Image
				b.ReportAllocs()
				for b.Loop() {
					if err := Image(&img, file, Options{Pure: pure}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
