package data

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// Options say which images to open.
type Options struct {
	// Name is a registered data set.
	Name string
	// Dir is the folder of the files; empty means the usual places: the data
	// set's folder in $ORTRAIN_DATA, ./datasets and the user's cache
	// directory (ortrain/datasets), and for mnist the Go module cache.
	Dir string
	// TrainFiles and TestFiles replace the usual names; they may be glob
	// patterns, are relative to Dir, and without one are also looked for in
	// the working directory.
	TrainFiles, TestFiles []string
	// Validation is the part of the training images to hold out: a share if
	// below 1, otherwise a number of images. Every class gives the same share.
	Validation float64
	// Limit, if above 0, is the largest number of training images left after
	// the validation images are taken. Classes are kept as even as possible.
	Limit int
	// Seed chooses the images of the split and of the limit.
	Seed uint64
}

// FromRecipe returns the options in a recipe.
func FromRecipe(r *recipe.Recipe) Options {
	return Options{
		Name: r.Data.Name, Dir: r.Data.Dir,
		TrainFiles: r.Data.TrainFiles, TestFiles: r.Data.TestFiles,
		Validation: r.Data.Validation, Limit: r.Limit, Seed: r.Seed,
	}
}

// Dataset is an opened data set.
type Dataset struct {
	Name    string
	Classes []string
	Size    pixel.Size
	// Train and Validation share no image. Validation is nil if none was
	// asked for.
	Train, Validation, Test *Subset
}

// Open reads a data set's training and test images into memory and splits
// them. Errors are one line that names the file and says what to do.
func Open(o Options) (*Dataset, error) {
	d, err := Lookup(o.Name)
	if err != nil {
		return nil, err
	}
	train, err := d.open(o.Dir, o.TrainFiles, d.TrainFiles)
	if err != nil {
		return nil, err
	}
	test, err := OpenTest(o)
	if err != nil {
		return nil, err
	}
	set := &Dataset{Name: d.Name, Classes: d.Classes, Size: d.Size, Train: Whole(train), Test: test}
	if o.Validation > 0 {
		n := o.Validation
		if n < 1 {
			n = math.Round(n * float64(train.Len()))
		}
		if n < 1 || n >= float64(train.Len()) {
			return nil, fmt.Errorf("data.validation: %v asks for %.0f of the %d training images of %s; ask for at least 1 and leave some to train on",
				o.Validation, n, train.Len(), d.Name)
		}
		set.Validation, set.Train = set.Train.Split(int(n), o.Seed)
	}
	if o.Limit > 0 {
		set.Train = set.Train.Limit(o.Limit, o.Seed)
	}
	return set, nil
}

// OpenTest reads only the test images.
func OpenTest(o Options) (*Subset, error) {
	d, err := Lookup(o.Name)
	if err != nil {
		return nil, err
	}
	test, err := d.open(o.Dir, o.TestFiles, d.TestFiles)
	if err != nil {
		return nil, err
	}
	return Whole(test), nil
}

func (d *Definition) open(dir string, given, usual []string) (*Memory, error) {
	names, explicit := usual, false
	if len(given) > 0 {
		names, explicit = given, true
	}
	files, err := d.find(dir, names, explicit)
	if err != nil {
		return nil, err
	}
	return d.Read(d, files)
}
