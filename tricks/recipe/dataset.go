package recipe

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

// DataSet is what a recipe has to know of a data set. Package data registers
// those it can read.
type DataSet struct {
	Name string
	// Mean and Std are the usual normalisation, per channel.
	Mean, Std []float64
	// Augment is the default augmentation.
	Augment Augment
	// Varying tells that the images are of various sizes, so that the recipe
	// chooses the training size.
	Varying bool
	// Size is the training size of images of various sizes where the recipe
	// does not choose one; 0 leaves it to whoever opens the files.
	Size int
	// Describe, if not nil, reads the other fields from the files: Resolve
	// calls it for what the recipe does not say.
	Describe func(d Data) (DataSet, error)
}

var dataSets = map[string]DataSet{}

// RegisterDataSet makes a data set known. It is meant for init functions and
// panics if the name is taken.
func RegisterDataSet(d DataSet) {
	if _, taken := dataSets[d.Name]; taken || d.Name == "" {
		panic(fmt.Sprintf("recipe: data set %q registered twice or nameless", d.Name))
	}
	dataSets[d.Name] = d
}

// DataSets returns the names of the registered data sets, sorted.
func DataSets() []string {
	names := make([]string, 0, len(dataSets))
	for n := range dataSets {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func lookupDataSet(name string) (DataSet, error) {
	if d, ok := dataSets[name]; ok {
		return d, nil
	}
	return DataSet{}, fmt.Errorf("unknown data set %q%s", name, nearest.Hint(name, DataSets()))
}

// resolveData fills in what the data set brings, after checking the keys that
// only some sets have.
func (r *Recipe) resolveData(set DataSet) error {
	d := &r.Data
	for _, c := range []struct {
		key string
		set bool
	}{
		{"data.size", d.Size != 0}, {"data.resize", d.Resize != 0}, {"data.test_split", d.TestSplit != 0},
		{"data.image_key", d.ImageKey != ""}, {"data.label_key", d.LabelKey != ""}, {"data.skip_broken", d.SkipBroken != 0},
	} {
		if c.set && !set.Varying {
			return strict.Errorf(c.key, "is for images in files of their own; %s has none, so leave it out", set.Name)
		}
	}
	if set.Describe != nil && (len(d.Mean) == 0 || len(d.Std) == 0 || r.Augment == nil || d.Size == 0) {
		found, err := set.Describe(*d)
		if err != nil {
			return strict.Within("data.dir", err)
		}
		set = found
	}
	if d.Size == 0 {
		d.Size = set.Size
	}
	if len(d.Mean) == 0 {
		d.Mean = slices.Clone(set.Mean)
	}
	if len(d.Std) == 0 {
		d.Std = slices.Clone(set.Std)
	}
	if len(d.Mean) != len(d.Std) {
		return strict.Errorf("data.std", "has %d channels, data.mean has %d", len(d.Std), len(d.Mean))
	}
	if r.Augment == nil {
		r.Augment = append(Augment{}, set.Augment...)
	}
	if d.Repeats == 1 {
		d.Repeats = 0 // equal recipes have equal hashes
	}
	return nil
}
