package main

import (
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// squares writes an image folder of two classes: 3 training and 1 test images
// of each.
func squares(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"train/dark/1", "train/dark/2", "train/dark/3", "train/light/1", "train/light/2", "train/light/3", "val/dark/4", "val/light/4"} {
		img := image.NewGray(image.Rect(0, 0, 10+int(name[len(name)-1]-'0'), 12))
		if strings.Contains(name, "light") {
			for i := range img.Pix {
				img.Pix[i] = 255
			}
		}
		path := filepath.Join(dir, name+".png")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDataCommands(t *testing.T) {
	dir := squares(t)
	out := t.TempDir()
	packed := filepath.Join(out, "packed")
	for _, c := range []struct{ args, want string }{
		{"data info " + dir, "all 2 classes 6 2 dark 3 1 light width 11 to 13 formats: 6 png"},
		{"data stats " + dir + " --size 8 --out " + filepath.Join(out, "samples.png"), "mean: [0.5000, 0.5000, 0.5000] std: pca_colour drawn in"},
		{"data verify " + dir, "8 images looked at: none broken, none noted"},
		{"data pack " + dir + " --size 8 --out " + packed, "train 6 images test 2 images 2 classes packed ortrain train --data"},
		{"data info " + packed, "all 2 classes 6 2 width 8, height 8"},
		{"data verify --data packed --data-dir " + packed, "none broken"},
	} {
		o := must(t, strings.Fields(c.args)...)
		for _, w := range words(c.want) {
			if !strings.Contains(o.out, w) {
				t.Errorf("ortrain %s: printed %q, want %q", c.args, o.out, w)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(out, "samples.png")); err != nil || info.Size() < 1000 {
		t.Errorf("the samples: %v", err)
	}
	write(t, filepath.Join(dir, "train/dark/5.png"), []byte("not an image"))
	o := ortrain(t, "data", "verify", dir)
	if o.code != exitError || !strings.Contains(o.out, "broken  damaged: "+filepath.Join(dir, "train/dark/5.png")) || !strings.Contains(o.err, "1 broken file") {
		t.Errorf("a broken file: %+v", o)
	}
	refused(t, []string{"data", "pack", dir, "--out", filepath.Join(out, "p2")}, "train/dark/5.png")
	must(t, "data", "pack", dir, "--skip-broken", "1", "--out", filepath.Join(out, "p3"))
}

func TestDataUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"data", "data what? get info verify stats pack"},
		{"data get", "cifar10, cifar100"},
		{"data get cifar", `"cifar" "cifar10"`},
		{"data get mnist --patience 0", "--patience 0"},
		{"data pak", `"data pak" did you mean "pack"? (see ortrain data --help)`},
		{"data pack --sizes 3", `--sizes "--size"? (see ortrain data pack --help)`},
		{"data pack x --size", "--size needs a value"},
		{"data info", "which data set?"},
		{"data info nowhere", "nowhere no such file"},
		{"data info --data cifar11", "cifar10"},
		{"data info a b", "one data set at a time"},
		{"data info a --data cifar10", "give one"},
		{"data info ./a --test-split 1", "--test-split 1"},
		{"data pack --data cifar10", "--out DIR"},
		{"data pack --data cifar10 --out x --pixels row", `"row" "raw"`},
		{"data pack --data cifar10 --out x --quality 101", "--quality 101"},
	} {
		refused(t, strings.Fields(c.args), words(c.want)...)
	}
	if o := must(t, "data", "--help"); !strings.Contains(o.out, "verify") {
		t.Errorf("help of data: %s", o.out)
	}
	if o := must(t, "data", "pack", "--help"); !strings.Contains(o.out, "usage: ortrain data pack") {
		t.Errorf("help of data pack: %s", o.out)
	}
}

// TestDataGet downloads from a mirror that has nothing, and from one that has
// another file.
func TestDataGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/other/") {
			w.Write([]byte("another file"))
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	refused(t, []string{"data", "get", "cifar10", "--dir", dir, "--mirror", server.URL},
		"404 Not Found", "by hand", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", dir)
	o := ortrain(t, "data", "get", "mnist", "--dir", dir, "--mirror", server.URL+"/other/")
	if o.code != exitError || !strings.Contains(o.err, "not the published file") || strings.Count(o.err, "\n") > 2 {
		t.Errorf("another file: %+v", o)
	}
	if _, err := os.Stat(filepath.Join(dir, "mnist")); err == nil {
		t.Error("the folder of a failed download is there")
	}
}
