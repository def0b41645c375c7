package job_test

import (
	"bytes"
	"context"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// noise is a recipe on random colour images in CIFAR-10's format.
func noise(t *testing.T) *recipe.Recipe {
	t.Helper()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range 20 {
		b = append(b, byte(i%10))
		for range 3072 {
			b = append(b, byte(r.UintN(256)))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "few.bin"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	rec := recipe.Default()
	for _, c := range []string{"data.name=cifar10", "data.dir=" + dir, "data.train_files=[few.bin]", "data.test_files=[few.bin]", "batch=8"} {
		if err := rec.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return rec
}

func TestPreview(t *testing.T) {
	out := filepath.Join(t.TempDir(), "sheet.png")
	r := mnist(t, "mix=[cutmix]", "target={label_smoothing: {epsilon: 0.1}}", "data.repeats=2", "epochs=3")
	p, err := job.Preview(context.Background(), job.PreviewConfig{Recipe: r, Out: out, Batches: 3, Images: 10, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Batches) != 3 || p.Batches[0].Epoch != 1 || p.Batches[2].Index != 2 || p.Batches[0].Mixed != "cutmix" || p.Batches[0].Shown != 10 || p.Batches[0].Images != 32 {
		t.Errorf("%+v", p)
	}
	first := read(t, out)
	img, err := png.Decode(bytes.NewReader(first))
	if err != nil || img.Bounds().Dx() != p.Width || img.Bounds().Dy() != p.Height {
		t.Errorf("picture of %v: %v", img.Bounds(), err)
	}
	if _, err := job.Preview(context.Background(), job.PreviewConfig{Recipe: r, Out: out, Batches: 3, Images: 10, Epoch: 1}); err != nil || !bytes.Equal(first, read(t, out)) {
		t.Errorf("a second preview differs: %v", err)
	}
	for _, tt := range []struct {
		c    job.PreviewConfig
		want string
	}{
		{job.PreviewConfig{}, "no recipe given"},
		{job.PreviewConfig{Recipe: r, Batches: -1}, "a preview of -1 batches, 32 images of each: give 1 to 1000 batches of 1 to 10000 images"},
		{job.PreviewConfig{Recipe: r, Epoch: 3}, "there is no epoch 4 to show: the run has 3"},
		{job.PreviewConfig{Recipe: r, Epoch: 2, Batches: 21}, "the run has only 20 batches from epoch 3 on, not 21; ask for fewer"},
	} {
		tt.c.Out = filepath.Join(t.TempDir(), "x.png")
		if _, err := job.Preview(context.Background(), tt.c); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
		if _, err := os.Stat(tt.c.Out); err == nil {
			t.Error("a refused preview left a file")
		}
	}
}

// Every pixel trick can be shown on colour images; what cannot be shown on
// grey ones says so.
func TestTrickSheet(t *testing.T) {
	out := filepath.Join(t.TempDir(), "tricks.png")
	rows, err := job.TrickSheet(job.TrickSheetConfig{Recipe: noise(t), Image: 3, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.Trick] = true
		if r.Problem != "" {
			t.Errorf("%s: %s", r.Trick, r.Problem)
		}
	}
	for _, name := range []string{"ShearX", "Equalize", "crop", "cutout", "randaugment"} {
		if !seen[name] {
			t.Errorf("%s is not on the sheet", name)
		}
	}
	if _, err := png.Decode(bytes.NewReader(read(t, out))); err != nil {
		t.Error(err)
	}
	if _, err := job.TrickSheet(job.TrickSheetConfig{Recipe: mnist(t), Out: out}); err != nil {
		t.Errorf("grey images: %v", err)
	}
	if _, err := job.TrickSheet(job.TrickSheetConfig{Recipe: noise(t), Image: 20, Out: out}); err == nil || !strings.Contains(err.Error(), "there is no training image 20: cifar10 has 0 to 19") {
		t.Errorf("no such image: %v", err)
	}
}
