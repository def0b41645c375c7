package data

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/data/files"
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
	// Size is the width and height that images of various sizes are brought
	// to; 0 means the files' own, or 224.
	Size int
	// ImageKey and LabelKey name the columns, keys or endings of images and
	// labels in formats that have several; empty means the usual ones.
	ImageKey, LabelKey string
	// TestSplit is the share held out for the test of a set whose files do not
	// divide it, the same whatever the seed; 0 means a fifth.
	TestSplit float64
	// SkipBroken is the number of broken images that may be left out.
	SkipBroken int
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
		Size: r.Data.Size, ImageKey: r.Data.ImageKey, LabelKey: r.Data.LabelKey,
		TestSplit: r.Data.TestSplit, SkipBroken: r.Data.SkipBroken,
		Validation: r.Data.Validation, Limit: r.Limit, Seed: r.Seed,
	}
}

// Dataset is an opened data set.
type Dataset struct {
	Name    string
	Classes []string
	// Size is that of the images which training and evaluation take.
	Size pixel.Size
	// Train, Validation and Test share no image. Validation is nil if neither
	// the options ask for one nor the files hold one.
	Train, Validation, Test *Subset
	// Problems are files that were left out, at most Options.SkipBroken.
	Problems []files.Problem
}

// Open opens a data set's training and test images and splits them. Small
// sets are read into memory; of the others only an index is. Errors are one
// line that names the file and says what to do.
func Open(o Options) (*Dataset, error) {
	d, err := Lookup(o.Name)
	if err != nil {
		return nil, err
	}
	parts, err := d.parts(o)
	if err != nil {
		return nil, err
	}
	source := parts.Train.Source
	set := &Dataset{
		Name: d.Name, Classes: source.Classes(), Size: source.Size(),
		Train: parts.Train, Validation: parts.Validation, Test: parts.Test, Problems: parts.Problems,
	}
	if o.Validation > 0 {
		n := o.Validation
		if n < 1 {
			n = math.Round(n * float64(set.Train.Len()))
		}
		if n < 1 || n >= float64(set.Train.Len()) {
			return nil, fmt.Errorf("data.validation: %v asks for %.0f of the %d training images of %s; ask for at least 1 and leave some to train on",
				o.Validation, n, set.Train.Len(), d.Name)
		}
		set.Validation, set.Train = set.Train.Split(int(n), o.Seed)
	}
	if o.Limit > 0 {
		set.Train = set.Train.Limit(o.Limit, o.Seed)
	}
	return set, nil
}

// OpenTest opens only the test images.
func OpenTest(o Options) (*Subset, error) {
	d, err := Lookup(o.Name)
	if err != nil {
		return nil, err
	}
	if d.Index != nil {
		parts, err := d.parts(o) // the training files say which classes there are
		if err != nil {
			return nil, err
		}
		return parts.Test, nil
	}
	test, err := d.open(o.Dir, o.TestFiles, d.TestFiles)
	if err != nil {
		return nil, err
	}
	return Whole(test), nil
}

// parts opens the training and test images.
func (d *Definition) parts(o Options) (*Parts, error) {
	if d.Index != nil {
		return d.index(o)
	}
	train, err := d.open(o.Dir, o.TrainFiles, d.TrainFiles)
	if err != nil {
		return nil, err
	}
	test, err := d.open(o.Dir, o.TestFiles, d.TestFiles)
	if err != nil {
		return nil, err
	}
	return &Parts{Train: Whole(train), Test: Whole(test)}, nil
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
