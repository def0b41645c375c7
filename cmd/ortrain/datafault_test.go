package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// photos writes small pictures of two classes as train/CLASS/N.png and
// val/CLASS/N.png, and the training ones also as a WebDataset.
func photos(t *testing.T) (folder, webdataset string) {
	t.Helper()
	folder, webdataset = t.TempDir(), t.TempDir()
	r := rand.New(rand.NewPCG(5, 6))
	for _, part := range []struct {
		name string
		n    int
	}{{"train", 64}, {"val", 16}} {
		var shard bytes.Buffer
		w := tar.NewWriter(&shard)
		member := func(name string, b []byte) {
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			w.Write(b)
		}
		for i := range part.n {
			img := image.NewRGBA(image.Rect(0, 0, 40, 40))
			for p := range 40 * 40 {
				img.Set(p%40, p/40, color.RGBA{uint8(r.IntN(256)), uint8(100 * (i % 2)), uint8(r.IntN(256)), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			class := fmt.Sprintf("class%d", i%2)
			dir := filepath.Join(folder, part.name, class)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes())
			member(fmt.Sprintf("%06d.png", i), b.Bytes())
			member(fmt.Sprintf("%06d.cls", i), []byte(fmt.Sprint(i%2)))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(webdataset, "set-"+part.name+"-0.tar"), shard.Bytes())
	}
	return folder, webdataset
}

// TestDataGoesAway: a file of the data set that vanishes or shrinks during a run
// ends it with one line that names the file. The run goes on when it is back.
func TestDataGoesAway(t *testing.T) {
	ortest.Open(t)
	folder, webdataset := photos(t)
	packed := filepath.Join(t.TempDir(), "packed")
	must(t, "data", "pack", folder, "--size", "40", "--out", packed)
	shards, _ := filepath.Glob(filepath.Join(packed, "*train*"))
	if len(shards) == 0 {
		t.Fatalf("no shard in %s", packed)
	}
	shorten := func(path string) {
		if err := os.Truncate(path, 1000); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	picture := filepath.Join(folder, "train", "class1", "31.png")
	shard := filepath.Join(webdataset, "set-train-0.tar")
	for _, c := range []struct {
		name, data, file string
		harm             func(string)
	}{
		{"a picture vanishes", folder, picture, remove},
		{"a picture shrinks", folder, picture, shorten},
		{"a shard shrinks", webdataset, shard, shorten},
		{"a mapped shard shrinks", packed, shards[0], shorten},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			good := read(t, c.file)
			args := []string{"train", "--data", c.data, "--size", "16", "--model", "resnet8", "--epochs", "300", "--batch", "16",
				"--threads", "1", "--out", dir, "--resume", "auto"}
			code, said := during(t, process(t, args...), "epoch 1/", func() { c.harm(c.file) })
			complaint(t, code, said, c.file)
			write(t, c.file, good)
			checkpoint := read(t, dir, job.CheckpointFile)
			cmd := process(t, args...)
			during(t, cmd, "epoch ", func() { cmd.Process.Kill() })
			if bytes.Equal(checkpoint, read(t, dir, job.CheckpointFile)) {
				t.Error("the run does not go on")
			}
		})
	}
}
