package recipe

import (
	"fmt"
	"sort"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// DataSet is what a recipe has to know of a data set. Package data registers
// those it can read.
type DataSet struct {
	Name string
	// Mean and Std are the usual normalisation, per channel.
	Mean, Std []float64
	// Augment is the default augmentation.
	Augment Augment
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
