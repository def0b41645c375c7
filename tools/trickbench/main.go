// Command trickbench measures how many images a second one core takes through
// each trick on pixels and batches, at 32×32 and 224×224, and through the chain
// of the AutoAugment paper.
//
//	go run ./tools/trickbench
//
// Every round goes once through all tricks, so that all see the same minutes of
// the machine; the median over the rounds is written to
// testdata/results/trick_throughput.csv. A pixel trick is timed with the
// normalisation that every image has; the row "normalise" is that alone.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil/formula"
	"github.com/ortrain/ortrain/tricks/rng"
)

func main() {
	rounds := flag.Int("rounds", 9, "turns of each trick")
	turn := flag.Duration("turn", 100*time.Millisecond, "length of a turn")
	out := flag.String("out", filepath.Join("testdata", "results", "trick_throughput.csv"), "CSV file")
	flag.Parse()
	goruntime.GOMAXPROCS(1)
	if err := run(*rounds, *turn, *out); err != nil {
		fmt.Fprintln(os.Stderr, "trickbench:", err)
		os.Exit(1)
	}
}

// contender is one row: run takes some images through the trick and returns how
// many.
type contender struct {
	name, kind string
	side       int
	run        func() int
	rates      []float64
	allocs     float64 // per image, the least of all rounds
}

func run(rounds int, turn time.Duration, out string) error {
	var all []*contender
	for _, side := range []int{32, 224} {
		list, err := contenders(side)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	for _, c := range all {
		for range 300 {
			c.run() // memory grows to the largest image met
		}
	}
	for range rounds {
		for _, c := range all {
			c.time(turn)
		}
	}
	rows := [][]string{{"trick", "kind", "size", "images_per_second", "slowest_round", "fastest_round", "allocations_per_image"}}
	for _, c := range all {
		slices.Sort(c.rates)
		rows = append(rows, []string{c.name, c.kind, strconv.Itoa(c.side), fmt.Sprintf("%.0f", c.rates[len(c.rates)/2]),
			fmt.Sprintf("%.0f", c.rates[0]), fmt.Sprintf("%.0f", c.rates[len(c.rates)-1]), fmt.Sprintf("%.2g", c.allocs)})
		fmt.Printf("%-32s %3d×%-3d %9.0f images/s  %.2g allocations an image\n", c.name, c.side, c.side, c.rates[len(c.rates)/2], c.allocs)
	}
	return measure.WriteTable(out, rows,
		fmt.Sprintf("# command: go run ./tools/trickbench -rounds %d -turn %v", rounds, turn),
		fmt.Sprintf("# %s with %s on %s, one core", time.Now().UTC().Format(time.DateOnly), goruntime.Version(), runtime.CPUName()))
}

func (c *contender) time(turn time.Duration) {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	begun, images := time.Now(), 0
	for time.Since(begun) < turn {
		images += c.run()
	}
	seconds := time.Since(begun).Seconds()
	goruntime.ReadMemStats(&after)
	allocs := float64(after.Mallocs-before.Mallocs) / float64(images)
	if len(c.rates) == 0 || allocs < c.allocs {
		c.allocs = allocs
	}
	c.rates = append(c.rates, float64(images)/seconds)
}

// contenders are all tricks for images of one size.
func contenders(side int) ([]*contender, error) {
	chains := [][]string{nil}
	for _, name := range pixel.Transforms.Names() {
		chains = append(chains, []string{name})
	}
	chains = append(chains, []string{"autoaugment", "crop", "mirror", "cutout"})
	var list []*contender
	for _, names := range chains {
		c, err := chain(side, names)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	for _, name := range batch.Mixers.Names() {
		c, err := mixing(side, name)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// chain times transforms with their defaults.
func chain(side int, names []string) (*contender, error) {
	size := pixel.Size{W: side, H: side, C: 3}
	c := &contender{name: "normalise", kind: "pixel", side: side}
	var steps []pixel.Named
	for i, name := range names {
		o, err := pixel.Transforms.Defaults(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, pixel.Named{Name: name, Options: o})
		if i == 0 {
			c.name = name
		} else {
			c.name += " + " + name
		}
	}
	built, err := pixel.NewChain(pixel.Info{In: size, Mean: []float64{0.49, 0.48, 0.45}, Std: []float64{0.25, 0.24, 0.26}}, steps...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	photo := formula.Image(fmt.Sprintf("photo.%dx%dx3", side, side))
	src := &pixel.Image{Size: size, Pix: photo.Pix}
	w, dst, i := built.NewWorker(), make([]float32, built.Out().Elements()), 0
	c.run = func() int {
		w.Apply(dst, src, 1, 0, i)
		i++
		return 1
	}
	return c, nil
}

// mixing times a trick on batches with its defaults, image by image as the
// loader does it.
func mixing(side int, name string) (*contender, error) {
	o, err := batch.Mixers.Defaults(name)
	if err != nil {
		return nil, err
	}
	shape := batch.Shape{N: 32, C: 3, H: side, W: side}
	s, err := batch.NewSwitch(1, batch.Choice{Name: name, P: 1, Mixer: o.Build()})
	if err != nil {
		return nil, err
	}
	src, dst := make([]float32, shape.N*shape.Image()), make([]float32, shape.Image())
	r := rand.New(rand.NewPCG(1, 1))
	for i := range src {
		src[i] = float32(r.NormFloat64())
	}
	stream, index := rng.NewStream(), 0
	var draw batch.Draw
	return &contender{name: name, kind: "batch", side: side, run: func() int {
		m, _ := s.Sample(stream, 1, 0, index, shape, &draw)
		index++
		for i := range shape.N {
			m.Apply(dst, src, shape, &draw, i)
		}
		return shape.N
	}}, nil
}
