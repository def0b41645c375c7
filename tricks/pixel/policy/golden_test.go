package policy

import (
	"encoding/csv"
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

// Every operation at every level means the same image as in torchvision.
func TestAgainstTorchvision(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "golden", "pixels_torchvision.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var images []pil.Image
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "# images in turn: "); ok {
			for _, name := range strings.Fields(list) {
				images = append(images, formula.Image(name))
			}
		}
	}
	r := csv.NewReader(strings.NewReader(string(text)))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	spaces := map[string]func(w, h int) *Space{
		"autoaugment": func(w, h int) *Space { return Torchvision(w, h, 10) },
		"randaugment": func(w, h int) *Space { return Torchvision(w, h, 31) },
		"wide":        func(int, int) *Space { return Wide(31) },
		"augmix":      func(w, h int) *Space { return AugMix(w, h, true) },
	}
	failed, drawn := 0, map[string]bool{}
	for _, row := range rows[1:] {
		op, err := ParseOp(row[1])
		if err != nil {
			t.Fatal(err)
		}
		level, err := strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
		painter := Painter{}
		if row[0] == "augmix" {
			painter.Filter = pil.Bilinear
		}
		drawn[row[0]+row[1]] = true
		crc := uint32(0)
		var value float64
		for _, m := range images {
			s := spaces[row[0]](m.W, m.H)
			value = s.Value(op, float64(level), row[3] == "-")
			dst := pil.Image{W: m.W, H: m.H, C: m.C, Pix: make([]uint8, len(m.Pix))}
			painter.Apply(dst, m, op, value, 0, 0)
			crc = crc32.Update(crc, crc32.IEEETable, dst.Pix)
		}
		if got := fmt.Sprintf("%08x", crc); got != row[4] {
			if failed++; failed <= 20 {
				t.Errorf("%v (value of the last %v): got %s", row, value, got)
			}
		}
	}
	if len(rows) < 850 || failed > 0 {
		t.Errorf("%d of %d rows differ", failed, len(rows)-1)
	}
	for name, space := range spaces {
		for _, op := range space(32, 32).Ops() {
			if !drawn[name+op.String()] && name+op.String() != "autoaugmentIdentity" { // random draws are not AutoAugment's
				t.Errorf("%s draws %s, torchvision's does not", name, op)
			}
			delete(drawn, name+op.String())
		}
	}
	for left := range drawn {
		if left != "autoaugmentInvert" && left != "augmixInvert" {
			t.Errorf("torchvision draws %s", left)
		}
	}
}
