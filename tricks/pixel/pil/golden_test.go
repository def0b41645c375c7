package pil_test

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/pixel/pil/formula"
)

var goldenFill = pil.Colour{124, 116, 104}

// operate carries out one row of the golden file.
func operate(t *testing.T, name, argument string, src pil.Image) pil.Image {
	t.Helper()
	dst := pil.Image{src.W, src.H, src.C, make([]uint8, len(src.Pix))}
	for i := range dst.Pix {
		dst.Pix[i] = 0xAA // an operation writes everything
	}
	v, err := strconv.ParseFloat(argument, 64)
	name, filter, _ := strings.Cut(name, "_")
	f := map[string]pil.Filter{"nearest": pil.Nearest, "bilinear": pil.Bilinear, "bicubic": pil.Bicubic, "lanczos": pil.Lanczos, "box": pil.Box}[filter]
	switch name {
	case "invert":
		pil.Invert(dst, src)
		return dst
	case "autocontrast":
		pil.AutoContrast(dst, src)
		return dst
	case "equalize":
		pil.Equalize(dst, src)
		return dst
	case "grayscale":
		pil.Grayscale(dst, src)
		return dst
	case "resize":
		var part, to int
		if _, err := fmt.Sscanf(argument, "%d:%d", &part, &to); err != nil {
			t.Fatal(err)
		}
		w := pil.Crop{W: max(1, src.W*part/100), H: max(1, src.H*part/120)}
		w.X, w.Y = (src.W-w.W)/2, (src.H-w.H)/3
		dst.W, dst.H = max(1, src.W*to/100), max(1, src.H*to/100)
		dst.Pix = make([]uint8, dst.W*dst.H*dst.C)
		new(pil.Resizer).Resize(dst, src, w, f)
		return dst
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch name {
	case "solarize":
		pil.Solarize(dst, src, v)
	case "posterize":
		pil.Posterize(dst, src, int(v))
	case "brightness":
		pil.Brightness(dst, src, v)
	case "contrast":
		pil.Contrast(dst, src, v)
	case "color":
		pil.Color(dst, src, v)
	case "sharpness":
		pil.Sharpness(dst, src, v)
	case "shearx":
		pil.ShearX(dst, src, v, f, goldenFill)
	case "sheary":
		pil.ShearY(dst, src, v, f, goldenFill)
	case "translatex":
		pil.TranslateX(dst, src, v, f, goldenFill)
	case "translatey":
		pil.TranslateY(dst, src, v, f, goldenFill)
	case "rotate":
		pil.Rotate(dst, src, v, f, goldenFill)
	case "hue":
		pil.Hue(dst, src, v)
	case "blur":
		new(pil.Blur).Gaussian(dst, src, v)
	default:
		t.Fatalf("unknown operation %s", name)
	}
	return dst
}

// Every operation agrees with Pillow in every pixel.
func TestAgainstPillow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "golden", "pixels_pil.csv"))
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(string(text)))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names := rows[0][2:]
	var images []pil.Image
	for _, n := range names {
		images = append(images, formula.Image(n))
	}
	compared, failed := 0, map[string]int{}
	for _, row := range rows[1:] {
		for i, src := range images {
			keep := crc32.ChecksumIEEE(src.Pix)
			got := operate(t, row[0], row[1], src)
			result := fmt.Sprintf("%08x", crc32.ChecksumIEEE(got.Pix))
			if i == 0 {
				result = hex.EncodeToString(got.Pix)
			}
			compared++
			if result != row[2+i] {
				if failed[row[0]]++; failed[row[0]] <= 3 {
					t.Errorf("%s(%s) of %s:\n got %s\nwant %s", row[0], row[1], names[i], result, row[2+i])
				}
			}
			if crc32.ChecksumIEEE(src.Pix) != keep {
				t.Fatalf("%s changed its source", row[0])
			}
		}
	}
	t.Logf("%d results compared, failures by operation: %v", compared, failed)
	if compared < 6000 {
		t.Errorf("only %d results compared", compared)
	}
}
