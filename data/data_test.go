package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// nowhere makes the usual places empty.
func nowhere(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("ORTRAIN_DATA", "")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GOMODCACHE", filepath.Join(dir, "none"))
	t.Chdir(dir)
	return dir
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// cifarFile makes n CIFAR-10 records whose pixels all equal the label.
func cifarFile(n, first int) []byte {
	var b []byte
	for i := range n {
		label := byte((first + i) % 10)
		b = append(b, label)
		b = append(b, bytes.Repeat([]byte{label}, 3072)...)
	}
	return b
}

func idxFiles(n int, label func(i int) byte) (images, labels []byte) {
	words := func(ws ...uint32) (b []byte) {
		for _, w := range ws {
			b = binary.BigEndian.AppendUint32(b, w)
		}
		return b
	}
	images = words(0x803, uint32(n), 28, 28)
	labels = words(0x801, uint32(n))
	for i := range n {
		images = append(images, bytes.Repeat([]byte{label(i)}, 784)...)
		labels = append(labels, label(i))
	}
	return images, labels
}

func TestOpenCIFAR(t *testing.T) {
	dir := nowhere(t)
	for i := range 5 {
		write(t, filepath.Join(dir, "datasets/cifar10", []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}[i]), cifarFile(20, i))
	}
	write(t, filepath.Join(dir, "datasets/cifar10/test_batch.bin"), cifarFile(30, 0))
	write(t, filepath.Join(dir, "datasets/cifar10/test_other.bin"), cifarFile(7, 3))
	set, err := Open(Options{Name: "cifar10"})
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Len() != 100 || set.Test.Len() != 30 || set.Validation != nil || set.Size != (pixel.Size{W: 32, H: 32, C: 3}) || len(set.Classes) != 10 {
		t.Errorf("%d training, %d test images", set.Train.Len(), set.Test.Len())
	}
	var img pixel.Image
	if err := set.Train.Source.Read(21, &img); err != nil || img.Pix[0] != 2 || set.Train.Label(21) != 2 {
		t.Errorf("image 21: label %d, %v", set.Train.Label(21), err)
	}
	for _, o := range []Options{
		{Name: "cifar10", Dir: filepath.Join(dir, "datasets"), TestFiles: []string{"test_other.bin"}},
		{Name: "cifar10", Dir: filepath.Join(dir, "datasets/cifar10"), TestFiles: []string{"test_o*.bin"}},
		{Name: "cifar10", Dir: filepath.Join(dir, "datasets/cifar10"), TestFiles: []string{filepath.Join(dir, "datasets/cifar10/test_other.bin")}},
		{Name: "cifar10", TestFiles: []string{"datasets/cifar10/test_other.bin"}},
	} {
		set, err := Open(o)
		if err != nil || set.Test.Len() != 7 {
			t.Errorf("%+v: %v", o, err)
		}
	}
	set, err = Open(Options{Name: "cifar10", TrainFiles: []string{"data_batch_[2-4].bin"}, Dir: "datasets/cifar10"})
	if err != nil || set.Train.Len() != 60 {
		t.Errorf("pattern: %v", err)
	}
	t.Setenv("ORTRAIN_DATA", filepath.Join(dir, "elsewhere"))
	write(t, filepath.Join(dir, "elsewhere/cifar-10-batches-bin/test_batch.bin"), cifarFile(3, 0))
	if test, err := OpenTest(Options{Name: "cifar10"}); err != nil || test.Len() != 3 {
		t.Errorf("$ORTRAIN_DATA: %v", err)
	}
}

func TestOpenCIFAR100(t *testing.T) {
	dir := nowhere(t)
	record := append([]byte{19, 99}, make([]byte, 3072)...)
	write(t, filepath.Join(dir, "train.bin"), record)
	write(t, filepath.Join(dir, "test.bin"), append(record, record...))
	set, err := Open(Options{Name: "cifar100", Dir: dir})
	if err != nil || set.Train.Len() != 1 || set.Test.Len() != 2 || set.Classes[set.Train.Label(0)] != "worm" {
		t.Errorf("%v", err)
	}
}

func TestOpenIDX(t *testing.T) {
	dir := nowhere(t)
	m, l := idxFiles(25, func(i int) byte { return byte(i % 10) })
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(m)
	z.Close()
	cache := filepath.Join(dir, "cache")
	carrier := filepath.Join(cache, "github.com/petar/!go!m!n!i!s!t@v0.0.0-20150320212226-2fbe10d0fa63/data")
	for _, f := range []string{"train-images-idx3-ubyte", "t10k-images-idx3-ubyte"} {
		write(t, filepath.Join(carrier, f+".gz"), zipped.Bytes())
	}
	for _, f := range []string{"train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"} {
		write(t, filepath.Join(carrier, f), l)
	}
	check := func(what string, o Options) {
		t.Helper()
		set, err := Open(o)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if set.Train.Len() != 25 || set.Test.Label(13) != 3 || set.Size.C != 1 {
			t.Errorf("%s: %d images, label %d", what, set.Train.Len(), set.Test.Label(13))
		}
	}
	check("folder", Options{Name: "fashion-mnist", Dir: carrier})
	t.Setenv("GOMODCACHE", cache)
	check("GOMODCACHE", Options{Name: "mnist"})
	t.Setenv("GOMODCACHE", "")
	t.Setenv("GOPATH", filepath.Join(dir, "go1")+string(filepath.ListSeparator)+"/nowhere")
	if err := os.MkdirAll(filepath.Join(dir, "go1/pkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(cache, filepath.Join(dir, "go1/pkg/mod")); err != nil {
		t.Fatal(err)
	}
	check("GOPATH", Options{Name: "mnist"})
	t.Setenv("GOPATH", "")
	if err := os.Rename(filepath.Join(dir, "go1"), filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	check("home", Options{Name: "mnist"})
	if err := os.Rename(filepath.Join(dir, "go"), filepath.Join(dir, "go2")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "goenv"), []byte("A=b\nGOMODCACHE="+filepath.Join(dir, "go2/pkg/mod")+"\n"))
	t.Setenv("GOENV", filepath.Join(dir, "goenv"))
	check("go env -w", Options{Name: "mnist"})
	check("explicit files in another order", Options{
		Name: "mnist", Dir: filepath.Join(dir, "go2/pkg/mod/github.com/petar/!go!m!n!i!s!t@v0.0.0-20150320212226-2fbe10d0fa63/data"),
		TrainFiles: []string{"train-*"},
	})
}

func TestOpenErrors(t *testing.T) {
	dir := nowhere(t)
	m, l := idxFiles(25, func(i int) byte { return byte(i) })
	_, short := idxFiles(24, func(i int) byte { return 0 })
	write(t, "labels/train-images-idx3-ubyte", m)
	write(t, "labels/train-labels-idx1-ubyte", l)
	write(t, "short/train-images-idx3-ubyte", m)
	write(t, "short/train-labels-idx1-ubyte", short)
	write(t, "half/train-images-idx3-ubyte", m)
	write(t, "cut/test_batch.bin", cifarFile(3, 0)[:3073+10])
	write(t, "whole/data_batch_1.bin", cifarFile(20, 0))
	write(t, "whole/test_batch.bin", cifarFile(20, 0))
	train := []string{"data_batch_1.bin"}
	tests := []struct {
		o    Options
		want string
	}{
		{Options{Name: "cifar"}, `unknown data set "cifar"; did you mean "cifar10"?`},
		{Options{Name: "cifar10"}, "cifar10: data_batch_1.bin not found in datasets/cifar10, datasets/cifar-10-batches-bin, " +
			dir + "/.cache/ortrain/datasets/cifar10, " + dir + "/.cache/ortrain/datasets/cifar-10-batches-bin; get them with 'ortrain data get cifar10', put the files there, or give their folder as data.dir (--data-dir)"},
		{Options{Name: "cifar10", Dir: "nope"}, "data folder of cifar10: stat nope: no such file or directory; give the folder that holds data_batch_1.bin as data.dir"},
		{Options{Name: "cifar10", Dir: "cut"}, "cut/data_batch_1.bin: no such file, needed for cifar10; put it there or give another folder as data.dir"},
		{Options{Name: "cifar10", Dir: "whole"}, "whole/data_batch_2.bin: no such file, needed for cifar10; add it or name the files with data.train_files and data.test_files"},
		{Options{Name: "cifar10", Dir: "cut", TrainFiles: []string{"test_batch.bin"}}, "cut/test_batch.bin: record 1 is cut off: 10 of 3073 bytes; get the file again or check that it is CIFAR-10"},
		{Options{Name: "mnist", Dir: "labels"}, "labels/train-labels-idx1-ubyte: record 10: label 10 is not below 10; the file is damaged or not mnist"},
		{Options{Name: "mnist", Dir: "short"}, "short/train-labels-idx1-ubyte holds 24 labels but short/train-images-idx3-ubyte holds 25 images"},
		{Options{Name: "mnist", Dir: "half"}, "half/train-labels-idx1-ubyte: no such file, needed for mnist; add it or name the files with data.train_files and data.test_files"},
		{Options{Name: "mnist", Dir: "half", TrainFiles: []string{"train-images-idx3-ubyte"}}, "mnist: 1 files of images and 0 of labels; give one of labels for each of images"},
		{Options{Name: "cifar10", Dir: "whole", TrainFiles: train, Validation: 20}, "data.validation: 20 asks for 20 of the 20 training images of cifar10; ask for at least 1 and leave some to train on"},
		{Options{Name: "cifar10", Dir: "whole", TrainFiles: train, Validation: 0.01}, "data.validation: 0.01 asks for 0 of the 20 training images of cifar10; ask for at least 1 and leave some to train on"},
	}
	for _, tt := range tests {
		if _, err := Open(tt.o); err == nil || err.Error() != tt.want {
			t.Errorf("%+v:\n got %v\nwant %s", tt.o, err, tt.want)
		}
	}
}

func TestNewMemoryErrors(t *testing.T) {
	size := pixel.Size{W: 2, H: 1, C: 1}
	if _, err := NewMemory(size, []string{"x"}, make([]uint8, 3), []int{0}); err == nil {
		t.Error("wrong length accepted")
	}
	if _, err := NewMemory(size, []string{"x"}, make([]uint8, 2), []int{1}); err == nil {
		t.Error("wrong label accepted")
	}
}

func TestDefinitions(t *testing.T) {
	for _, name := range Names() {
		if d, err := Lookup(name); err != nil || (d.Layout == "") == (len(d.Classes) == 0) || (d.Read == nil) == (d.Index == nil) {
			t.Errorf("%s is neither a data set nor a format: %v", name, err)
		}
	}
	for name, classes := range map[string]int{"cifar10": 10, "cifar100": 100, "mnist": 10, "fashion-mnist": 10} {
		d, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(d.Classes))); len(unique) != classes || len(d.Classes) != classes {
			t.Errorf("%s: %d classes, %d names", name, len(d.Classes), len(unique))
		}
		r := recipe.Default()
		r.Data.Name = name
		full, err := r.Resolve()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := full.BuildAugment(d.Size); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := map[bool]int{true: 2, false: 0}[d.Size.C == 3]; len(full.Augment) != want {
			t.Errorf("%s: %d transforms by default", name, len(full.Augment))
		}
	}
}

// The path that the rest of the product takes.
func TestFromRecipeToBatches(t *testing.T) {
	dir := nowhere(t)
	write(t, filepath.Join(dir, "data_batch_1.bin"), cifarFile(100, 0))
	write(t, filepath.Join(dir, "test_batch.bin"), cifarFile(30, 0))
	r, err := recipe.Parse([]byte(`
seed: 3
epochs: 2
batch: 8
limit: 40
data: {name: cifar10, train_files: data_batch_1.bin, validation: 0.2}
target: {label_smoothing: {epsilon: 0.2}}
`), "recipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Set("data.dir=" + dir); err != nil {
		t.Fatal(err)
	}
	if r, err = r.Resolve(); err != nil {
		t.Fatal(err)
	}
	set, err := Open(FromRecipe(r))
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Len() != 40 || set.Validation.Len() != 20 || set.Test.Len() != 30 {
		t.Errorf("%d, %d, %d images", set.Train.Len(), set.Validation.Len(), set.Test.Len())
	}
	for _, i := range listed(set.Train) {
		if slices.Contains(listed(set.Validation), i) {
			t.Errorf("image %d is in training and validation", i)
		}
	}
	ctx := context.Background()
	train, err := NewTrainLoader(ctx, set, r, Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	b, err := train.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b.Count != 8 || len(b.Images) != 8*3072 || math.Abs(float64(b.Targets[b.Labels[0]])-0.82) > 1e-6 {
		t.Errorf("batch of %d, target %v", b.Count, b.Targets[b.Labels[0]])
	}
	b.Release()
	if got := len(drain(t, train)); got != 9 {
		t.Errorf("%d more batches, want 9", got)
	}
	eval, err := NewEvalLoader(ctx, set.Test, r, 16, false)
	if err != nil {
		t.Fatal(err)
	}
	defer eval.Close()
	n := 0
	for {
		b, err := eval.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += b.Count
		b.Release()
	}
	if n != 30 {
		t.Errorf("evaluated %d images", n)
	}
}
