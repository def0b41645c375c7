package data

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// pngFile is an image in one colour.
func pngFile(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegFile(t testing.TB, w, h int, level uint8) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shades writes an image folder of three classes, whose images are of many
// sizes and as dark as their class says: n training and m test images of each.
func shades(t testing.TB, root string, n, m int) {
	t.Helper()
	for part, count := range map[string]int{"train": n, "val": m} {
		for c, class := range []string{"ant", "bee", "cow"} {
			for i := range count {
				level := uint8(40 + 80*c)
				path := filepath.Join(root, part, class, fmt.Sprintf("%03d", i))
				if i%2 == 0 {
					write(t, path+".png", pngFile(t, 9+i, 14-i%3, color.RGBA{level, level, level, 255}))
				} else {
					write(t, path+".jpg", jpegFile(t, 11, 8+i, level))
				}
			}
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	shades(t, dir, 6, 2)
	set, err := Open(Options{Name: "folder", Dir: dir, Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Len() != 18 || set.Test.Len() != 6 || set.Validation != nil || set.Size != (pixel.Size{W: 8, H: 8, C: 3}) {
		t.Fatalf("%d training and %d test images of %v", set.Train.Len(), set.Test.Len(), set.Size)
	}
	if !slices.Equal(set.Classes, []string{"ant", "bee", "cow"}) {
		t.Errorf("classes %v", set.Classes)
	}
	for _, part := range []*Subset{set.Train, set.Test} {
		e := part.Source.(Encoded)
		var img pixel.Image
		for i := range e.Len() {
			if err := e.Read(i, &img); err != nil {
				t.Fatal(err)
			}
			if img.C != 3 || img.W < 9 || len(img.Pix) != img.Elements() {
				t.Fatalf("%s: read as %v", e.Name(i), img.Size)
			}
			if want := uint8(40 + 80*e.Label(i)); img.Pix[0] != want || !strings.Contains(e.Name(i), set.Classes[e.Label(i)]) {
				t.Errorf("%s: label %d, level %d", e.Name(i), e.Label(i), img.Pix[0])
			}
		}
	}
	// The loader brings them to the size that the recipe asks for.
	r := recipe.Default()
	for _, s := range []string{"data.name=folder", "data.dir=" + dir, "data.size=8", "batch=6", "epochs=1"} {
		if err := r.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if r, err = r.Resolve(); err != nil {
		t.Fatal(err)
	}
	loader, err := NewTrainLoader(t.Context(), set, r, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	b, err := loader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, label := range b.Labels {
		want := (float64(40+80*label)/255 - r.Data.Mean[0]) / r.Data.Std[0]
		if got := float64(b.Images[i*3*64+20]); got < want-0.1 || got > want+0.1 {
			t.Errorf("image %d of class %d: value %v, want about %v", i, label, got, want)
		}
	}
}

// TestFolderDivided: a set without test images is divided alike for any seed.
func TestFolderDivided(t *testing.T) {
	dir := t.TempDir()
	shades(t, dir, 10, 1)
	var first *Dataset
	for seed := range uint64(3) {
		set, err := Open(Options{Name: "folder", Dir: filepath.Join(dir, "train"), Size: 8, Seed: seed, TestSplit: 0.3, Validation: 3})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(set.Test.Counts(), []int{3, 3, 3}) || !slices.Equal(set.Validation.Counts(), []int{1, 1, 1}) || set.Train.Len() != 18 {
			t.Fatalf("test %v, validation %v, training %v", set.Test.Counts(), set.Validation.Counts(), set.Train.Counts())
		}
		if first == nil {
			first = set
		}
		if !slices.Equal(listed(set.Test), listed(first.Test)) {
			t.Errorf("seed %d: other test images", seed)
		}
	}
}

func TestFolderProblems(t *testing.T) {
	dir := t.TempDir()
	shades(t, dir, 3, 2)
	write(t, filepath.Join(dir, "val/dog/1.png"), pngFile(t, 4, 4, color.White))
	o := Options{Name: "folder", Dir: dir, Size: 8}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), filepath.Join("val", "dog")) || !strings.Contains(err.Error(), "skip_broken=1") {
		t.Errorf("a class that the training set lacks: %v", err)
	}
	o.SkipBroken = 1
	set, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Problems) != 1 || set.Test.Len() != 6 {
		t.Errorf("%v, %d test images", set.Problems, set.Test.Len())
	}
	write(t, filepath.Join(dir, "train/ant/broken.jpg"), jpegFile(t, 30, 30, 9)[:200])
	write(t, filepath.Join(dir, "train/ant/empty.jpg"), nil)
	if set, err = Open(o); err != nil {
		t.Fatal(err)
	}
	var img pixel.Image
	e := set.Train.Source.(Encoded)
	for i := range e.Len() {
		err := e.Read(i, &img)
		bad := strings.HasSuffix(e.Name(i), "broken.jpg") || strings.HasSuffix(e.Name(i), "empty.jpg")
		if (err != nil) != bad || err != nil && !strings.Contains(err.Error(), e.Name(i)) {
			t.Errorf("%s: %v", e.Name(i), err)
		}
	}
}

func TestDetect(t *testing.T) {
	dir := nowhere(t)
	shades(t, filepath.Join(dir, "pictures"), 1, 1)
	write(t, filepath.Join(dir, "c/test_batch.bin"), nil)
	write(t, filepath.Join(dir, "m/t10k-images-idx3-ubyte.gz"), nil)
	for _, c := range []struct{ in, name, dir, problem string }{
		{"cifar10", "cifar10", "", ""},
		{"pictures", "pictures", "", ""}, // a mistyped name, for all we know
		{"./pictures", "folder", "./pictures", ""},
		{"./c", "cifar10", "./c", ""},
		{"./m", "", "", "may be fashion-mnist or mnist"},
		{"./none", "", "", "no such file"},
	} {
		name, at, err := Detect(c.in)
		if name != c.name || at != c.dir || (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("Detect(%q) = %q, %q, %v", c.in, name, at, err)
		}
	}
}

// FuzzFolderNames: whatever folders are called, training and test images of a
// folder of one name have the same class, and it has that name.
func FuzzFolderNames(f *testing.F) {
	f.Add("cat", "Dog", ".hidden")
	f.Add("train", "val", "\xff\xfe")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		dir := t.TempDir()
		for _, part := range []string{"train", "val"} {
			for _, class := range []string{a, b, c} {
				if class == "" || class != filepath.Base(class) || strings.ContainsAny(class, "\x00") || len(class) > 200 {
					return
				}
				write(t, filepath.Join(dir, part, class, "1.png"), nil)
			}
		}
		set, err := Open(Options{Name: "folder", Dir: dir})
		if err != nil {
			return // all hidden, say
		}
		for _, part := range []*Subset{set.Train, set.Test} {
			for i := range part.Len() {
				name := part.Source.(Encoded).Name(i)
				if got := filepath.Base(filepath.Dir(name)); got != set.Classes[part.Label(i)] {
					t.Errorf("%q has class %q", name, set.Classes[part.Label(i)])
				}
			}
		}
		if set.Train.Len() != set.Test.Len() {
			t.Errorf("%d training and %d test images", set.Train.Len(), set.Test.Len())
		}
	})
}

func FuzzClassesFile(f *testing.F) {
	f.Add([]byte("ant\nbee\n\ncow"))
	f.Add([]byte("ant\nant"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, ClassesFile), text)
		names, err := readClasses(dir)
		if err != nil {
			if !strings.Contains(err.Error(), ClassesFile) {
				t.Errorf("error %v", err)
			}
			return
		}
		sorted := slices.Sorted(slices.Values(names))
		if len(names) == 0 || len(slices.Compact(sorted)) != len(names) || slices.Contains(names, "") {
			t.Errorf("names %q", names)
		}
	})
}
