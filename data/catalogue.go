package data

import (
	"cmp"
	"fmt"
	"sort"

	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// Definition describes a data set that can be opened by name, or a format:
// images of the user's own in files of a known layout.
type Definition struct {
	Name    string
	Summary string
	// Classes and Size are the files' to say for a format, and empty here.
	Classes []string
	Size    pixel.Size
	// Layout says in a few words which files a format is made of; empty for a
	// data set.
	Layout string
	// TrainFiles and TestFiles are the usual file names.
	TrainFiles, TestFiles []string
	// Folders are the usual names of the files' folder, relative to a data
	// folder.
	Folders []string
	// Elsewhere returns further folders to look in, if not nil.
	Elsewhere func() []string
	// Mean and Std are per channel, of pixels scaled to [0, 1].
	Mean, Std []float64
	// Augment is the augmentation of a recipe that does not say.
	Augment recipe.Augment
	// Read decodes files, in order, into one source. Nil for a format.
	Read func(d *Definition, files []string) (*Memory, error)
	// Index opens a format's files, or those of a data set that comes in one.
	Index func(d *Definition, o Options) (*Parts, error)
	// Describe, if not nil, reads from the files what a recipe takes from the
	// set where the catalogue cannot know it.
	Describe func(d recipe.Data) (recipe.DataSet, error)
}

// Parts are a data set's images as its files divide them.
type Parts struct {
	Train *Subset
	// Validation is nil where the files have no third part; Test is nil where
	// they do not divide the images at all.
	Validation, Test *Subset
	// Problems are the files that had to be left out.
	Problems []files.Problem
}

// Varying tells whether the images are files of various sizes, which the
// recipe brings to one size.
func (d *Definition) Varying() bool { return d.Index != nil }

var catalogue = map[string]*Definition{}

// Register adds a data set to those that Open and recipes know. It is meant
// for init functions and panics if the name is taken.
func Register(d Definition) {
	side := 0
	if d.Varying() {
		side = cmp.Or(d.Size.W, usualSide)
	}
	recipe.RegisterDataSet(recipe.DataSet{Size: side, Name: d.Name, Mean: d.Mean, Std: d.Std, Augment: d.Augment, Varying: d.Varying(), Describe: d.Describe})
	catalogue[d.Name] = &d
}

// Lookup returns the data set of that name. The error for an unknown name
// suggests the nearest one.
func Lookup(name string) (*Definition, error) {
	if d, ok := catalogue[name]; ok {
		return d, nil
	}
	return nil, fmt.Errorf("unknown data set %q%s", name, nearest.Hint(name, Names()))
}

// Names returns the names of the data sets, sorted.
func Names() []string {
	names := make([]string, 0, len(catalogue))
	for n := range catalogue {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
