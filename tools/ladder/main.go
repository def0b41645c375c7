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

	"github.com/ortrain/ortrain/tools/internal/budget"
)

// config is what all rows have in common.
type config struct {
	budget.Budget
	only, work, out string
	cards           string
	table           bool
}

// usual is the budget of the committed ladder.
func usual() budget.Budget {
	return budget.Budget{Data: "cifar10", Model: "resnet8", Limit: 1500, Epochs: 12, Batch: 64, Validation: 500, LR: 0.1,
		Seeds: 3, Threads: 1, Workers: 1, Provider: "cpu"}
}

func main() {
	c := config{Budget: usual()}
	c.Flags(flag.CommandLine)
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
		if c.Dir == "" {
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
