package data

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/files"
)

// hugePNG declares 60,000 × 60,000 pixels in a hundred bytes.
func hugePNG() []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, body []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		start := len(b)
		b = append(append(b, kind...), body...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	}
	header := binary.BigEndian.AppendUint32(nil, 60000)
	header = binary.BigEndian.AppendUint32(header, 60000)
	chunk("IHDR", append(header, 8, 2, 0, 0, 0))
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(make([]byte, 1000))
	z.Close()
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return b
}

// verified lists what Verify finds: "kind path", sorted.
func verified(t *testing.T, o Options) (broken, noted []string, images int) {
	t.Helper()
	done := 0
	v, err := Verify(t.Context(), o, func(n, total int) { done = n })
	if err != nil {
		t.Fatal(err)
	}
	if done != v.Images {
		t.Errorf("progress ended at %d of %d", done, v.Images)
	}
	list := func(problems []files.Problem) (out []string) {
		for _, p := range problems {
			if p.Detail == "" || strings.Contains(p.Detail, "\n") || strings.Contains(p.Detail, p.Path+":") {
				t.Errorf("%s: %q is no good line", p.Path, p.Detail)
			}
			path, err := filepath.Rel(o.Dir, p.Path)
			if err != nil {
				path = p.Path
			}
			out = append(out, p.Kind+" "+path)
		}
		slices.Sort(out)
		return out
	}
	return list(v.Broken), list(v.Noted), v.Images
}

func TestVerifyFolder(t *testing.T) {
	dir := t.TempDir()
	shades(t, dir, 3, 2)
	at := func(name string) string { return filepath.Join(dir, name) }
	// Every image of a shade has a size of its own, except where sizes repeat:
	// make the test set's different from the training set's.
	for _, class := range []string{"ant", "bee", "cow"} {
		if err := os.RemoveAll(at("val/" + class)); err != nil {
			t.Fatal(err)
		}
		write(t, at("val/"+class+"/1.png"), pngFile(t, 21, 22, color.RGBA{uint8(len(class)), class[0], 3, 255}))
	}
	if broken, noted, n := verified(t, Options{Name: "folder", Dir: dir}); len(broken)+len(noted) > 0 || n != 12 {
		t.Errorf("a sound set of %d: broken %q, noted %q", n, broken, noted)
	}
	png := pngFile(t, 30, 31, color.White)
	write(t, at("train/ant/cut.png"), png[:len(png)-20])
	write(t, at("train/ant/empty.png"), nil)
	write(t, at("train/ant/huge.png"), hugePNG())
	write(t, at("train/ant/text.jpg"), []byte("no image"))
	write(t, at("train/bee/other.jpg"), png)
	write(t, at("train/bee/again.png"), png)
	write(t, at("val/cow/leak.png"), png)
	write(t, at("val/dog/1.png"), pngFile(t, 3, 3, color.White))
	for target, name := range map[string]string{"..": "train/cow/loop", "self.png": "train/cow/self.png", "gone": "train/cow/gone.png"} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"damaged train/ant/cut.png", "damaged train/ant/text.jpg", "empty train/ant/empty.png", "huge train/ant/huge.png",
		"symlink loop train/cow/loop", "symlink loop train/cow/self.png", "unknown class val/dog", "unreadable train/cow/gone.png",
	}
	wantNoted := []string{"duplicate train/bee/other.jpg", "duplicate val/cow/leak.png", "wrongly named train/bee/other.jpg"}
	if os.Getuid() != 0 {
		write(t, at("train/cow/secret.png"), png)
		if err := os.Chmod(at("train/cow/secret.png"), 0); err != nil {
			t.Fatal(err)
		}
		want = append(want, "unreadable train/cow/secret.png")
	}
	broken, noted, _ := verified(t, Options{Name: "folder", Dir: dir})
	if !slices.Equal(broken, want) {
		t.Errorf("broken %q\nwant   %q", broken, want)
	}
	if !slices.Equal(noted, wantNoted) {
		t.Errorf("noted %q\nwant  %q", noted, wantNoted)
	}
	// What Summarise says of the same files, from their headers alone.
	s, _, err := Summarise(t.Context(), Options{Name: "folder", Dir: dir, Size: 8}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.Problems); got != len(want) {
		t.Errorf("the summary has %d problems, want %d", got, len(want))
	}
}

func TestVerifyPack(t *testing.T) {
	dir := nowhere(t)
	shades(t, "set", 5, 2)
	set, err := Open(Options{Name: "folder", Dir: "set"})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "pack")
	if _, err := Pack(t.Context(), set, PackOptions{Out: out, Size: 16}); err != nil {
		t.Fatal(err)
	}
	o := Options{Name: "packed", Dir: out}
	if broken, _, n := verified(t, o); len(broken) > 0 || n != 21 {
		t.Errorf("a sound pack of %d: %q", n, broken)
	}
	path := filepath.Join(out, "train-00000.shard")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[16*16*3*4+5] ^= 1 // of image 4
	write(t, path, b)
	broken, _, _ := verified(t, o)
	if want := []string{"checksum train-00000.shard", "checksum train-00000.shard image 4 (004.png)"}; !slices.Equal(broken, want) {
		t.Errorf("a changed byte: %q, want %q", broken, want)
	}
	write(t, path, b[:len(b)/2])
	v, err := Verify(t.Context(), o, nil)
	if err != nil || len(v.Broken) != 1 || v.Broken[0].Path != path {
		t.Errorf("half a shard: %+v, %v", v, err)
	}
}

func TestVerifyShards(t *testing.T) {
	dir := t.TempDir()
	label := func(int) string { return "0" }
	whole := shard(t, 0, 5, label)
	write(t, filepath.Join(dir, "train-0.tar"), whole)
	write(t, filepath.Join(dir, "train-1.tar"), whole[:len(whole)-5000])
	write(t, filepath.Join(dir, "test-0.tar"), tarOf(t, map[string][]byte{"a.jpg": {}, "a.cls": []byte("0"), "b.png": jpegFile(t, 8, 9, 7), "b.cls": []byte("0")}))
	if err := os.Symlink("nowhere", filepath.Join(dir, "train-2.tar")); err != nil {
		t.Fatal(err)
	}
	broken, noted, _ := verified(t, Options{Name: "webdataset", Dir: dir})
	if want := []string{"damaged train-1.tar", "empty test-0.tar/a.jpg", "unreadable train-2.tar"}; !slices.Equal(broken, want) {
		t.Errorf("broken %q, want %q", broken, want)
	}
	if len(noted) == 0 || !slices.Contains(noted, "wrongly named test-0.tar/b.png") {
		t.Errorf("noted %q", noted)
	}
}

func TestSummarise(t *testing.T) {
	dir := t.TempDir()
	shades(t, dir, 10, 3)
	o := Options{Name: "folder", Dir: dir, Size: 12}
	s, set, err := Summarise(t.Context(), o, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Parts) != 2 || !slices.Equal(s.Parts[0].Counts, []int{10, 10, 10}) || s.Parts[1].Images != 9 || set.Train.Len() != 30 {
		t.Errorf("parts %+v", s.Parts)
	}
	if s.Sizes.Looked != 30 || s.Sizes.Formats["png"] != 15 || s.Sizes.Formats["jpeg"] != 15 || s.Sizes.Width[0] != 9 || s.Sizes.Width[2] != 17 {
		t.Errorf("sizes %+v", s.Sizes)
	}
	// A third of the images each of 40, 120 and 200: mean 120, deviation
	// √(2/3)·80 levels, all of it along grey.
	mean, std := 120.0/255, 65.32/255
	for c := range 3 {
		if d := s.Colours.Mean[c] - mean; d < -0.002 || d > 0.002 {
			t.Errorf("mean %v, want %v", s.Colours.Mean, mean)
		}
		if d := s.Colours.Std[c] - std; d < -0.002 || d > 0.002 {
			t.Errorf("deviation %v, want %v", s.Colours.Std, std)
		}
	}
	p := s.Colours.PCA
	if d := p.Values[0] - 3*std*std; d < -0.005 || d > 0.005 || p.Values[1] > 1e-4 {
		t.Errorf("components %+v", p)
	}
}

// TestMoments: what is counted has the exact mean and deviation, of the
// population.
func TestMoments(t *testing.T) {
	for _, c := range []struct {
		counts    map[uint8]uint64
		mean, std float64
	}{
		{map[uint8]uint64{0: 2, 255: 2}, 0.5, 0.5},
		{map[uint8]uint64{51: 3, 153: 1}, 0.3, math.Sqrt(0.03)},
		{map[uint8]uint64{255: 7}, 1, 0},
	} {
		var levels [256]uint64
		for v, n := range c.counts {
			levels[v] = n
		}
		if mean, std := moments(&levels); math.Abs(mean-c.mean) > 1e-12 || math.Abs(std-c.std) > 1e-12 {
			t.Errorf("%v: %v, %v, want %v, %v", c.counts, mean, std, c.mean, c.std)
		}
	}
}
