// Indexscale measures what an index of very many images costs: it writes a pack of
// simulated images (files of one byte, with names as long as ImageNet's), opens
// it in a process of its own, and writes the figures to a CSV file.
//
//	go run ./tools/indexscale -images 100000000 -dir /tmp/scale -out testdata/results/index_scale.csv
//
// The pack of 100 million takes 4.5 GB on the disk and is removed afterwards.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/packed"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/rng"
)

// figures are what one process measures.
type figures struct {
	Images int
	// Open is the time until the set is open, Counts until its classes are
	// counted as well, in seconds.
	Open, Counts float64
	// OpenMiB is the resident memory then, PeakMiB at the end, after a million
	// shuffled labels and a million images read at random.
	OpenMiB, PeakMiB float64
	// Shuffle is the time for the first million positions of a shuffled
	// epoch and their labels.
	Shuffle float64
	// Read is the time for 100,000 images.
	Read float64
}

func main() {
	images := flag.Int("images", 100_000_000, "number of images")
	dir := flag.String("dir", filepath.Join(os.TempDir(), "ortrain-scale"), "folder for the simulated pack, which must not exist")
	out := flag.String("out", "testdata/results/index_scale.csv", "CSV file to write")
	measured := flag.String("measure", "", "only measure the pack in this folder and print JSON")
	flag.Parse()
	var err error
	if *measured != "" {
		err = read(*measured)
	} else {
		err = run(*images, *dir, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "indexscale:", err)
		os.Exit(1)
	}
}

func run(images int, dir, out string) error {
	begun := time.Now()
	if err := simulate(images, dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	wrote := time.Since(begun).Seconds()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-measure", dir)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return err
	}
	var f figures
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	fmt.Print(string(text))
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	return measure.WriteTable(out, [][]string{
		{"images", "open_s", "open_and_count_s", "memory_open_mib", "memory_peak_mib", "shuffle_1M_s", "read_100k_s", "write_s", "go", "cpu"},
		{strconv.Itoa(f.Images), number(f.Open), number(f.Counts), number(f.OpenMiB), number(f.PeakMiB), number(f.Shuffle), number(f.Read), number(wrote), goruntime.Version(), runtime.CPUName()},
	})
}

// simulate writes a pack of images of one byte in 1000 classes.
func simulate(images int, dir string) error {
	m := packed.Manifest{Origin: "simulated", Pixels: packed.File, Channels: 3}
	for c := range 1000 {
		m.Classes = append(m.Classes, fmt.Sprintf("n%08d", c))
	}
	w, err := packed.NewWriter(dir, m, 1<<28)
	if err != nil {
		return err
	}
	defer w.Abort()
	for part, n := range map[string]int{packed.Train: images, packed.Test: 1000} {
		if err := w.Begin(part); err != nil {
			return err
		}
		for i := range n {
			if err := w.Add(i%1000, "n01234567_12345.JPEG", []byte{byte(i)}); err != nil {
				return err
			}
		}
	}
	_, err = w.Commit()
	return err
}

// read opens the pack and prints what that costs.
func read(dir string) error {
	begun := time.Now()
	set, err := data.Open(data.Options{Name: "packed", Dir: dir})
	if err != nil {
		return err
	}
	f := figures{Images: set.Train.Len(), Open: time.Since(begun).Seconds()}
	set.Train.Counts()
	f.Counts = time.Since(begun).Seconds()
	if f.OpenMiB, err = measure.ResidentMiB(); err != nil {
		return err
	}
	start := time.Now()
	shuffled, sum := rng.NewPermutation(set.Train.Len(), 1, 0), 0
	for i := range min(1_000_000, set.Train.Len()) {
		sum += set.Train.Label(shuffled.At(i))
	}
	f.Shuffle = time.Since(start).Seconds()
	start = time.Now()
	e := set.Train.Source.(data.Encoded)
	r := rand.New(rand.NewPCG(1, 2))
	for k := range 100_000 {
		i := r.IntN(e.Len())
		b, err := e.Bytes(i, nil)
		if err != nil {
			return err
		}
		if b[0] != byte(i) || k < 1000 && !strings.Contains(e.Name(i), "n01234567_12345.JPEG") {
			return fmt.Errorf("image %d is not what was written", i)
		}
	}
	f.Read = time.Since(start).Seconds()
	if f.PeakMiB, err = measure.PeakMiB(); err != nil {
		return err
	}
	if sum == 0 {
		return fmt.Errorf("all labels are 0")
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}
