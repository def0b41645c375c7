// Command ladder measures every trick on real images: one network and budget,
// several seeds a row, the mean and standard deviation of the test error. The
// rows are the baseline, each trick alone on top of it, and then the best of
// each kind put together.
//
//	go run ./tools/ladder -dir CIFAR10 -test-files test_batch_jpeg.bin
//	go run ./tools/ladder -dir CIFAR10 -only cutout,mixup
//	go run ./tools/ladder -table                  # only rewrite tables and cards
//	go run ./tools/ladder -dir CIFAR10 -model resnet20 -limit 0 -epochs 200 \
//	    -batch 128 -validation 5000 -threads 0 -workers 0 -out runs/ladder200
//
// The last line is the public budget, for those who have the time. A run that
// is in the results already is skipped, one that was interrupted is continued,
// so that the command may be stopped at any moment and repeated; rows added
// to the tool later are the only ones that the next call trains.
//
// It writes OUT_runs.csv (a line a run), OUT.csv and OUT.md (a line a row, with
// the public figures beside ours), OUT.png, and, for the results in testdata,
// the line "Our row" of each trick's card.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// config is what all rows have in common.
type config struct {
	data, dir, testFiles string
	model                string
	limit, epochs, batch int
	validation           int
	lr                   float64
	seeds                int
	threads, workers     int
	provider             string
	only, work, out      string
	cards                string
	table                bool
}

// flags defines the flags of a ladder's budget on fs.
func (c *config) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.data, "data", "cifar10", "data set")
	fs.StringVar(&c.dir, "dir", "", "folder of its files")
	fs.StringVar(&c.testFiles, "test-files", "", "test files instead of the usual ones")
	fs.StringVar(&c.model, "model", "resnet8", "network")
	fs.IntVar(&c.limit, "limit", 1500, "training images; 0 means all")
	fs.IntVar(&c.epochs, "epochs", 12, "length of a run")
	fs.IntVar(&c.batch, "batch", 64, "images of a step")
	fs.IntVar(&c.validation, "validation", 500, "images held out of the training set, by which the best rows are chosen")
	fs.Float64Var(&c.lr, "lr", 0.1, "learning rate of the baseline")
	fs.IntVar(&c.seeds, "seeds", 3, "runs a row")
	fs.IntVar(&c.threads, "threads", 1, "threads of the model; 0 means one per core")
	fs.IntVar(&c.workers, "workers", 1, "loader workers; 0 means one per core")
	fs.StringVar(&c.provider, "provider", "cpu", "execution provider")
}

func main() {
	var c config
	c.flags(flag.CommandLine)
	flag.StringVar(&c.only, "only", "", "names of rows to train, comma-separated; without it all, and the combinations")
	flag.StringVar(&c.work, "work", "", "folder of the runs in progress (default: OUT.work, removed when all is done)")
	flag.StringVar(&c.out, "out", filepath.Join("testdata", "results", "ladder"), "results, without the ending")
	flag.StringVar(&c.cards, "cards", "tricks", "folder of the cards whose row is rewritten from testdata's ladder; empty for none")
	flag.BoolVar(&c.table, "table", false, "train nothing; write tables and cards from the runs there are")
	flag.Parse()
	if c.work == "" {
		c.work = c.out + ".work"
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := climb(ctx, c); err != nil {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "ladder: stopped; the same command continues")
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "ladder:", err)
		os.Exit(1)
	}
}

// climb trains what is missing and writes the tables.
func climb(ctx context.Context, c config) error {
	l, err := openLog(c)
	if err != nil {
		return err
	}
	if !c.table {
		if c.dir == "" {
			return errors.New("no data: give the folder with -dir")
		}
		if err := l.trainAll(ctx); err != nil {
			return err
		}
		if err := os.Remove(c.work); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err // something was left in it
		}
	}
	t := tabulate(l)
	if len(t.lines) == 0 && c.only != "" {
		fmt.Println("no tables without a run of the baseline")
		return nil
	}
	if len(t.lines) == 0 {
		return fmt.Errorf("%s holds no run of the baseline", l.path)
	}
	if err := t.write(c.out); err != nil {
		return err
	}
	if c.cards == "" || filepath.ToSlash(c.out) != committed {
		return nil
	}
	return writeCards(c.cards, t)
}

// committed is the ladder that the cards quote.
const committed = "testdata/results/ladder"
