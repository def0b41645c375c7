// Package budget holds what training runs share that are to be compared: the
// network, the images, and how long and how often each is trained.
package budget

import (
	"flag"
	"fmt"
	"strconv"

	"github.com/ortrain/ortrain/tricks/recipe"
)

// Budget is what the runs share.
type Budget struct {
	Data, Dir, TestFiles string
	Model                string
	Limit, Epochs, Batch int // training images (0 means all), epochs, images of a step
	Validation           int // images held out of the training set
	LR                   float64
	Seeds                int // runs of each kind
	Threads, Workers     int // 0 means one per core
	Provider             string
}

// Flags defines the flags of the budget; what it holds already is their
// default.
func (b *Budget) Flags(fs *flag.FlagSet) {
	fs.StringVar(&b.Data, "data", b.Data, "data set")
	fs.StringVar(&b.Dir, "dir", b.Dir, "folder of its files")
	fs.StringVar(&b.TestFiles, "test-files", b.TestFiles, "name or pattern of the test files, instead of the usual ones")
	fs.StringVar(&b.Model, "model", b.Model, "network")
	fs.IntVar(&b.Limit, "limit", b.Limit, "training images; 0 means all")
	fs.IntVar(&b.Epochs, "epochs", b.Epochs, "length of a run")
	fs.IntVar(&b.Batch, "batch", b.Batch, "images of a step")
	fs.IntVar(&b.Validation, "validation", b.Validation, "images held out of the training set, looked at after every epoch")
	fs.Float64Var(&b.LR, "lr", b.LR, "learning rate")
	fs.IntVar(&b.Seeds, "seeds", b.Seeds, "runs of each kind")
	fs.IntVar(&b.Threads, "threads", b.Threads, "threads of the network; 0 means one per core")
	fs.IntVar(&b.Workers, "workers", b.Workers, "loader workers; 0 means one per core")
	fs.StringVar(&b.Provider, "provider", b.Provider, "execution provider")
}

// Command spells the flags, with DIR for the folder.
func (b Budget) Command() string {
	test := ""
	if b.TestFiles != "" {
		test = " -test-files " + b.TestFiles
	}
	return fmt.Sprintf("-dir DIR%s -data %s -model %s -limit %d -epochs %d -batch %d -validation %d -lr %g -seeds %d -threads %d -workers %d -provider %s",
		test, b.Data, b.Model, b.Limit, b.Epochs, b.Batch, b.Validation, b.LR, b.Seeds, b.Threads, b.Workers, b.Provider)
}

// Settings are the assignments of a recipe on which results depend.
func (b Budget) Settings() []string {
	return []string{
		"data.name=" + b.Data, "model.name=" + b.Model, fmt.Sprintf("limit=%d", b.Limit), fmt.Sprintf("epochs=%d", b.Epochs),
		fmt.Sprintf("batch=%d", b.Batch), fmt.Sprintf("data.validation=%d", b.Validation), fmt.Sprintf("schedule.lr=%g", b.LR),
	}
}

// Recipe returns the recipe of one run, with settings of its own on top. The
// seed also chooses the training and validation images.
func (b Budget) Recipe(seed int, own ...string) (*recipe.Recipe, error) {
	list := append(b.Settings(), fmt.Sprintf("seed=%d", seed), fmt.Sprintf("threads=%d", b.Threads), fmt.Sprintf("data.workers=%d", b.Workers),
		"provider="+b.Provider, "data.dir="+strconv.Quote(b.Dir))
	if b.TestFiles != "" {
		list = append(list, "data.test_files=["+strconv.Quote(b.TestFiles)+"]")
	}
	r := recipe.Default()
	for _, s := range append(list, own...) {
		if err := r.Set(s); err != nil {
			return nil, err
		}
	}
	return r, nil
}
