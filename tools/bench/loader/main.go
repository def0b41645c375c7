// Command loader times the data loader, and PyTorch's DataLoader with
// torchvision and Pillow in turn, in one run on two cores.
//
//	go run ./tools/bench/loader -folder DIR      DIR holds JPEG files of photographs
//	go run ./tools/bench/loader -folder DIR -ours-only
//
// What is timed, in images a second over batches that nobody works on:
//
//   - jpeg: decode, random resized crop to 224, mirror, normalise, float batches;
//     the peer does the same, and its best number of worker processes counts;
//   - packed: the same from the photographs packed raw, 256 pixels a side;
//   - evaluation: decode, resize to 256, cut 224 out of the middle, normalise;
//   - cifar: pad and crop, mirror, normalise 32×32 images to float batches;
//   - index: memory and time to start on a simulated set of 100 million images.
//
// The figures are medians over rounds in which all take their turns. They are
// written to testdata/results/loader.csv.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data/decode"
	ort "github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

func main() {
	var b bench
	flag.StringVar(&b.folder, "folder", "", "folder of JPEG files of photographs")
	flag.IntVar(&b.rounds, "rounds", 5, "turns of each")
	flag.IntVar(&b.images, "images", 600, "photographs of a turn")
	flag.StringVar(&b.python, "python", ".venv/bin/python", "Python with torchvision (tools/parity/setup.sh makes it)")
	flag.BoolVar(&b.oursOnly, "ours-only", false, "do not time PyTorch")
	flag.StringVar(&b.out, "out", filepath.Join("testdata", "results", "loader.csv"), "CSV file")
	flag.StringVar(&b.only, "only", "", "time only works whose names hold this")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "loader:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "loader:", err)
		os.Exit(1)
	}
}

// cores is what both sides may use.
const cores = 2

type bench struct {
	folder, python, out, only string
	rounds, images            int
	oursOnly                  bool

	rows []row
}

// row is one work of one implementation.
type row struct {
	work, implementation, version string
	workers                       int
	rates                         []float64 // images a second, one a round
	note                          string
	turn                          func() (float64, error)
}

func (b *bench) run() error {
	if b.folder == "" {
		return fmt.Errorf("give -folder, a folder of JPEG files of photographs")
	}
	runtime.GOMAXPROCS(cores)
	album, err := openFolder(b.folder)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "ortrain-bench-loader-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	works, err := ours(album, scratch, b.images)
	if err != nil {
		return err
	}
	for _, w := range works {
		if strings.Contains(w.work, b.only) {
			b.rows = append(b.rows, w)
		}
	}
	if !b.oursOnly {
		p, err := startPeer(b.python, b.folder)
		if err != nil {
			return err
		}
		defer p.stop()
		for workers := 1; workers <= 4; workers++ {
			b.rows = append(b.rows, row{work: "jpeg", implementation: "PyTorch DataLoader", version: p.version, workers: workers,
				turn: func() (float64, error) { return p.turn(workers, b.images) }})
		}
	}
	for round := range b.rounds {
		for i := range b.rows {
			rate, err := b.rows[i].turn()
			if err != nil {
				return fmt.Errorf("%s of %s: %w", b.rows[i].work, b.rows[i].implementation, err)
			}
			b.rows[i].rates = append(b.rows[i].rates, rate)
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d ", round+1, b.rounds)
	}
	fmt.Fprintln(os.Stderr)
	if strings.Contains("index", b.only) {
		r, err := index()
		if err != nil {
			return err
		}
		b.rows = append(b.rows, r)
	}
	return b.report()
}

// report prints the figures and writes them.
func (b *bench) report() error {
	best := 0.0 // the peer's, over its numbers of workers
	for _, r := range b.rows {
		if r.implementation != "ortrain" {
			best = max(best, measure.Median(r.rates))
		}
	}
	table := [][]string{{"date", "work", "implementation", "version", "workers", "cores", "rounds", "images_per_second", "slowest_round", "fastest_round", "ratio_to_best_peer_on_jpeg", "note", "cpu"}}
	for _, r := range b.rows {
		m, ratio := measure.Median(r.rates), ""
		if best > 0 && m > 0 && r.work != "cifar" {
			ratio = fmt.Sprintf("%.2f", m/best)
		}
		fmt.Printf("%-11s %-19s %d workers %9.0f images/s  ratio %-6s %s\n", r.work, r.implementation, r.workers, m, ratio, r.note)
		low, high := 0.0, 0.0
		if len(r.rates) > 0 {
			low, high = slices.Min(r.rates), slices.Max(r.rates)
		}
		table = append(table, []string{time.Now().UTC().Format("2006-01-02"), r.work, r.implementation, r.version,
			fmt.Sprint(r.workers), fmt.Sprint(cores), fmt.Sprint(len(r.rates)), fmt.Sprintf("%.1f", m), fmt.Sprintf("%.1f", low), fmt.Sprintf("%.1f", high),
			ratio, r.note, ort.CPUName()})
	}
	if err := measure.WriteTable(b.out, table); err != nil {
		return err
	}
	fmt.Println("written to", b.out)
	return nil
}

var version = runtime.Version() + ", " + decode.Decoder()

var background = context.Background()
