package data

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TestPack: what is packed comes out as it went in, whatever the workers.
func TestPack(t *testing.T) {
	dir := nowhere(t)
	shades(t, "set", 7, 3)
	set, err := Open(Options{Name: "folder", Dir: "set", Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, pixels := range PackKinds {
		var shards [][]byte
		for _, workers := range []int{1, 3} {
			out := filepath.Join(dir, fmt.Sprint(pixels, workers))
			done := 0
			if _, err := Pack(t.Context(), set, PackOptions{Out: out, Pixels: pixels, Size: 10, Workers: workers, Progress: func(n, total int) {
				done = n
				if total != 30 {
					t.Errorf("%d images in all", total)
				}
			}}); err != nil {
				t.Fatal(err)
			}
			if done != 30 {
				t.Errorf("%d images done", done)
			}
			b, err := os.ReadFile(filepath.Join(out, "train-00000.shard"))
			if err != nil {
				t.Fatal(err)
			}
			shards = append(shards, b)
			name, at, err := Detect(out)
			if err != nil || name != "packed" {
				t.Fatalf("detected %q, %v", name, err)
			}
			back, err := Open(Options{Name: name, Dir: at, Size: 10})
			if err != nil {
				t.Fatal(err)
			}
			same(t, pixels, set, back)
		}
		if !bytes.Equal(shards[0], shards[1]) {
			t.Errorf("%s: the pack depends on the workers", pixels)
		}
	}
}

// same compares a folder of shades with its pack.
func same(t *testing.T, pixels string, set, back *Dataset) {
	t.Helper()
	if !slices.Equal(set.Classes, back.Classes) || set.Train.Len() != back.Train.Len() || set.Test.Len() != back.Test.Len() {
		t.Fatalf("%s: another set", pixels)
	}
	var a, b pixel.Image
	for i := range set.Train.Len() {
		if set.Train.Label(i) != back.Train.Label(i) {
			t.Fatalf("%s: image %d has label %d", pixels, i, back.Train.Label(i))
		}
		if err := set.Train.Source.Read(i, &a); err != nil {
			t.Fatal(err)
		}
		if err := back.Train.Source.Read(i, &b); err != nil {
			t.Fatal(err)
		}
		switch pixels {
		case PackFile:
			if a.Size != b.Size || !bytes.Equal(a.Pix, b.Pix) {
				t.Errorf("image %d differs", i)
			}
		case PackRaw:
			if b.Size != (pixel.Size{W: 10, H: 10, C: 3}) {
				t.Errorf("image %d is of %v", i, b.Size)
			}
		case PackJPEG:
			if min(b.W, b.H) > 10 || b.W*a.H/a.W > b.H+1 || b.W*a.H/a.W < b.H-1 {
				t.Errorf("image %d of %v became %v", i, a.Size, b.Size)
			}
		}
		if d := int(a.Pix[0]) - int(b.Pix[0]); d < -3 || d > 3 {
			t.Errorf("%s image %d: level %d instead of %d", pixels, i, b.Pix[0], a.Pix[0])
		}
	}
}

// TestPackDataSet: a data set of one size keeps its pixels, its normalisation
// and its augmentation.
func TestPackDataSet(t *testing.T) {
	dir := nowhere(t)
	images, labels := idxFiles(20, func(i int) byte { return byte(i % 10) })
	for _, part := range []string{"train", "t10k"} {
		write(t, filepath.Join(dir, "m", part+"-images-idx3-ubyte"), images)
		write(t, filepath.Join(dir, "m", part+"-labels-idx1-ubyte"), labels)
	}
	set, err := Open(Options{Name: "mnist", Dir: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), set, PackOptions{Out: "packed", Pixels: PackFile}); err == nil || !strings.Contains(err.Error(), "no image files") {
		t.Errorf("files of mnist: %v", err)
	}
	if _, err := Pack(t.Context(), set, PackOptions{Out: "packed"}); err != nil {
		t.Fatal(err)
	}
	r := recipe.Default()
	r.Data.Name, r.Data.Dir = "packed", "packed"
	if r, err = r.Resolve(); err != nil {
		t.Fatal(err)
	}
	d, err := Lookup("mnist")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Data.Mean, d.Mean) || !slices.Equal(r.Data.Std, d.Std) || len(r.Augment) != len(d.Augment) || r.Data.Size != 28 {
		t.Errorf("the recipe of the pack: %+v, %v", r.Data, r.Augment)
	}
	back, err := Open(FromRecipe(r))
	if err != nil {
		t.Fatal(err)
	}
	if back.Size != set.Size || !slices.Equal(back.Classes, set.Classes) {
		t.Errorf("%v images of %q", back.Size, back.Classes)
	}
	var a, b pixel.Image
	for i := range 20 {
		if err := set.Test.Source.Read(i, &a); err != nil {
			t.Fatal(err)
		}
		if err := back.Test.Source.Read(i, &b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Pix, b.Pix) || set.Test.Label(i) != back.Test.Label(i) {
			t.Errorf("image %d differs", i)
		}
	}
	r.Data.Dir = "nothing"
	r.Data.Mean = nil
	if _, err := r.Resolve(); err == nil || !strings.Contains(err.Error(), "data.dir") || !strings.Contains(err.Error(), "packed.json") {
		t.Errorf("no pack: %v", err)
	}
}

func TestPackStops(t *testing.T) {
	dir := nowhere(t)
	shades(t, "set", 4, 1)
	broken := filepath.Join("set", "train", "bee", "zz.png")
	write(t, broken, pngFile(t, 30, 30, color.White)[:60])
	set, err := Open(Options{Name: "folder", Dir: "set"})
	if err != nil {
		t.Fatal(err)
	}
	for _, pixels := range PackKinds {
		if _, err := Pack(t.Context(), set, PackOptions{Out: "out", Pixels: pixels}); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%s: a broken image: %v", pixels, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pack(ctx, set, PackOptions{Out: "out"}); err == nil {
		t.Error("a cancelled pack")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	var left []string
	m, err := Pack(t.Context(), set, PackOptions{Out: "out", SkipBroken: 1, Report: func(p files.Problem) { left = append(left, p.Path) }})
	if err != nil || m.Parts["train"].Images != 12 || !slices.Equal(left, []string{broken}) {
		t.Errorf("without the broken image: %v, left out %v", err, left)
	}
}
