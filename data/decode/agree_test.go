package decode

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// Both decoders give the same pixels at every size, whatever the components are
// said to be.
func TestDecodersAgree(t *testing.T) {
	needLibrary(t)
	for _, path := range files(t, "*.jpg") {
		for what, file := range relabelled(read(t, path)) {
			for _, grey := range []bool{false, true} {
				for shrink, worst := range decodersDiffer(t, file, grey) {
					if worst > 0 {
						t.Errorf("%s%s shrunk by %d, grey %v: the decoders differ by up to %d", filepath.Base(path), what, shrink, grey, worst)
					}
				}
			}
		}
	}
}

// The shrunk part that a window needs is the same of both decoders.
func TestDecodersAgreeOnShrunkParts(t *testing.T) {
	needLibrary(t)
	r := rand.New(rand.NewPCG(4, 4))
	for _, path := range files(t, "*.jpg") {
		file := read(t, path)
		info, err := Info(file)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			v := Window{W: 1 + r.IntN(info.W), H: 1 + r.IntN(info.H)}
			v.X, v.Y = r.IntN(info.W-v.W+1), r.IntN(info.H-v.H+1)
			shrink := 1 << r.IntN(4)
			var a, b pixel.Part
			for p, o := range map[*pixel.Part]Options{&a: {}, &b: {Pure: true}} {
				if err := Part(p, file, o, v, max(1, v.W/shrink), max(1, v.H/shrink)); err != nil {
					t.Fatal(path, err)
				}
			}
			if a.X != b.X || a.Y != b.Y || a.Shrink != b.Shrink {
				t.Fatalf("%s: parts at (%d, %d)/%d and (%d, %d)/%d", path, a.X, a.Y, a.Shrink, b.X, b.Y, b.Shrink)
			}
			if worst, _ := difference(t, &a.Image, &b.Image); worst > 0 {
				t.Errorf("%s, %+v shrunk by %d: the decoders differ by %d", filepath.Base(path), v, a.Shrink, worst)
			}
		}
	}
}

// relabelled returns a JPEG file as it is, and with Adobe segments that make
// other colours of its components.
func relabelled(file []byte) map[string][]byte {
	out := map[string][]byte{"": file}
	rest := file[2:]
	for len(rest) > 4 && (rest[1] == 0xe0 || rest[1] == 0xee) { // JFIF and Adobe
		rest = rest[2+int(rest[2])<<8+int(rest[3]):]
	}
	out[", no segments"] = slices.Concat(file[:2], rest)
	for transform := range 3 {
		adobe := append([]byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), byte(transform))
		out[fmt.Sprintf(", transform %d", transform)] = slices.Concat(file[:2], adobe, rest)
	}
	return out
}

// decodersDiffer returns by how much the two decoders' values of a file differ at
// most, by the factor it is shrunk by.
func decodersDiffer(t testing.TB, file []byte, grey bool) map[int]int {
	t.Helper()
	info, err := Info(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]int{}
	for _, shrink := range []int{1, 2, 4, 8} {
		v := Window{0, 0, info.W, info.H}
		if v.W/shrink < 1 || v.H/shrink < 1 {
			continue
		}
		var a, b pixel.Part
		for p, o := range map[*pixel.Part]Options{&a: {Grey: grey}, &b: {Pure: true, Grey: grey}} {
			if err := Part(p, file, o, v, v.W/shrink, v.H/shrink); err != nil {
				t.Fatal(err)
			}
		}
		if a.X != b.X || a.Y != b.Y || a.Shrink != shrink || b.Shrink != shrink {
			t.Fatalf("parts at (%d, %d)/%d and (%d, %d)/%d, not /%d", a.X, a.Y, a.Shrink, b.X, b.Y, b.Shrink, shrink)
		}
		out[shrink], _ = difference(t, &a.Image, &b.Image)
	}
	return out
}

// photos names a folder of JPEG files, of whatever depth, that both decoders
// are compared on: go test ./data/decode -run Photographs -photos DIR.
var photos = flag.String("photos", "", "folder of JPEG files to compare the decoders on")

func TestDecodersAgreeOnPhotographs(t *testing.T) {
	needLibrary(t)
	if *photos == "" {
		t.Skip("no folder of photographs is given (-photos DIR)")
	}
	worst, files := map[int]int{}, 0
	if err := filepath.WalkDir(*photos, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		file := read(t, path)
		if sniff(file) != "jpeg" {
			return nil
		}
		var img pixel.Image
		if errA, errB := Image(&img, file, Options{}), Image(&img, file, Options{Pure: true}); errA != nil || errB != nil {
			t.Logf("%s: %v; %v", path, errA, errB)
			return nil
		}
		files++
		for shrink, d := range decodersDiffer(t, file, false) {
			if worst[shrink] = max(worst[shrink], d); d > 0 {
				t.Errorf("%s shrunk by %d: the decoders differ by %d", path, shrink, d)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files; largest difference by the factor of shrinking: %v", files, worst)
}
