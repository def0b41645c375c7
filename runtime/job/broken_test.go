package job_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// damagedPhotos returns a folder of 40 images to train on, of which the given
// ones end in the middle, and 8 to test on.
func damagedPhotos(t *testing.T, broken ...int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 48 {
		img := image.NewRGBA(image.Rect(0, 0, 16, 16))
		for p := range 256 {
			img.Set(p%16, p/16, color.RGBA{uint8(p * (i + 3)), uint8(i * 5), uint8(120 * (i % 2)), 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		file := b.Bytes()
		for _, k := range broken {
			if k == i {
				file = file[:len(file)/2]
			}
		}
		split := "train"
		if i >= 40 {
			split = "val"
		}
		path := filepath.Join(dir, split, fmt.Sprintf("class%d", i%2), fmt.Sprintf("%02d.png", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func photoRun(t *testing.T, dir string, changes ...string) *recipe.Recipe {
	t.Helper()
	r := recipe.Default()
	for _, c := range append([]string{"data.name=folder", "data.dir=" + dir, "data.size=16", "model.name=resnet8",
		"epochs=3", "batch=4", "data.workers=2", "schedule.lr=0.01"}, changes...) {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// tally counts what is said, and cancels after a number of steps.
type tally struct {
	stopper
	notes []string
}

func (s *tally) Note(line string) { s.notes = append(s.notes, line) }

// data.skip_broken limits the broken images of a whole run: one that is resumed
// knows those that were named before, fails where an uninterrupted one does, and
// otherwise ends with its bytes.
func TestBrokenImagesCountOverTheWholeRun(t *testing.T) {
	ortest.Open(t)
	dir := damagedPhotos(t, 5, 17, 30)
	train := func(out string, allowed, steps int, resume bool) (*tally, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := &tally{stopper: stopper{steps, cancel}}
		_, err := job.Train(ctx, job.Config{Recipe: photoRun(t, dir, fmt.Sprintf("data.skip_broken=%d", allowed)), Out: out, Reporter: s, Resume: resume})
		return s, err
	}
	leftOut := func(s *tally) (n int) {
		for _, line := range s.notes {
			if strings.HasPrefix(line, "left out: ") {
				n++
			}
		}
		return n
	}
	whole, cut := t.TempDir(), t.TempDir()
	all, err := train(whole, 3, -1, false)
	if err != nil {
		t.Fatal(err)
	}
	if leftOut(all) != 3 {
		t.Errorf("told of %d broken images: %q", leftOut(all), all.notes)
	}
	told := 0
	for i, steps := range []int{3, 3, 5, -1} {
		s, err := train(cut, 3, steps, i > 0)
		if steps > 0 && !errors.Is(err, context.Canceled) || steps < 0 && err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		told += leftOut(s)
	}
	if told != 3 {
		t.Errorf("the sessions of a run told of %d broken images", told)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile} {
		if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
			t.Errorf("%s differs between the whole and the resumed run", name)
		}
	}

	_, want := train(filepath.Join(t.TempDir(), "run"), 2, -1, false)
	if want == nil || !strings.Contains(want.Error(), "one more than the 2 broken images") {
		t.Fatalf("a third broken image: %v", want)
	}
	stopped := 0
	for steps := 1; steps <= 9; steps++ {
		out := filepath.Join(t.TempDir(), "run")
		if _, err := train(out, 2, steps, false); !errors.Is(err, context.Canceled) {
			break // the limit came first
		}
		stopped++
		if _, err := train(out, 2, -1, true); err == nil || err.Error() != want.Error() {
			t.Errorf("resumed after %d steps: %v, want %v", steps, err, want)
		}
	}
	if stopped < 3 {
		t.Errorf("only %d runs were stopped before the limit", stopped)
	}
}
