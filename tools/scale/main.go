// Command scale measures what a deep network costs before its first step:
// building, differentiating and lowering its graphs, writing them, and loading
// the step into ONNX Runtime.
//
//	go run ./tools/scale                      the networks below
//	go run ./tools/scale resnet152:224:1000:16
//
// A network is NAME:SIZE:CLASSES:BATCH, or NAME:SIZE:CLASSES:BATCH:build to leave
// out the loading (of which ONNX Runtime makes minutes for the 100,000 nodes of
// ResNet-1202). Each is measured in a process of its own, in the layout of this
// machine's blocks. Peak memory and processor time are the process's; on a busy
// machine the latter is what to compare. Rows go to testdata/results/scale.csv.
package main

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

var networks = []string{
	"resnet50:224:1000:16", "resnet152:224:1000:16", "resnet110:32:10:128", "resnet1202:32:10:128:build",
	"resnext101_32x8d:224:1000:16", "shake26_2x112d:32:10:128", "pyramidnet272_a200:32:10:64", "amoebanet_b_6_128:32:10:64",
}

func main() {
	one := flag.Bool("one", false, "measure in this process and print a row")
	out := flag.String("out", filepath.Join("testdata", "results", "scale.csv"), "CSV file")
	threads := flag.Int("threads", 2, "threads")
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = networks
	}
	var err error
	if *one {
		var row []string
		if row, err = cost(names[0], *threads); err == nil {
			w := csv.NewWriter(os.Stdout)
			w.Write(row)
			w.Flush()
			err = w.Error()
		}
	} else {
		err = drive(names, *threads, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

var header = []string{"date", "version", "network", "size", "batch", "block", "parameters", "step_nodes",
	"build_seconds", "write_seconds", "load_seconds", "total_seconds", "processor_seconds", "peak_rss_mib", "threads", "cpu"}

func drive(names []string, threads int, out string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	rows := [][]string{header}
	for _, name := range names {
		fmt.Printf("%-30s ", name)
		cmd := exec.Command(self, "-one", "-threads", strconv.Itoa(threads), name)
		cmd.Stderr = os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		row, err := csv.NewReader(bytes.NewReader(text)).Read()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%s nodes; build %s s, write %s s, load %s s, together %s s (%s s of processors); peak %s MiB\n",
			row[7], row[8], row[9], row[10], row[11], row[12], row[13])
		rows = append(rows, row)
	}
	return measure.WriteTable(out, rows)
}

func cost(network string, threads int) ([]string, error) {
	part := strings.Split(network, ":")
	build := len(part) == 5 && part[4] == "build"
	if len(part) != 4 && !build {
		return nil, fmt.Errorf("%q is not NAME:SIZE:CLASSES:BATCH", network)
	}
	var number [3]int
	for i := range number {
		n, err := strconv.Atoi(part[1+i])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", network, err)
		}
		number[i] = n
	}
	library, err := runtime.FindLibrary("")
	if err != nil {
		return nil, err
	}
	if err := runtime.Open(library); err != nil {
		return nil, err
	}
	block := runtime.ChannelBlock()
	dir, err := os.MkdirTemp("", "ortrain-scale-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	seconds := func(since *time.Time) string {
		now := time.Now()
		s := now.Sub(*since).Seconds()
		*since = now
		return fmt.Sprintf("%.2f", s)
	}
	begin := time.Now()
	at := begin
	set, err := artifact.Build(artifact.Spec{
		Model: part[0], Config: models.Config{Classes: number[1], Input: [3]int{3, number[0], number[0]}},
		Optimizer: "sgd", Batch: number[2], Lowering: lower.Options{Block: block},
	})
	if err != nil {
		return nil, err
	}
	built, nodes, params := seconds(&at), len(set.Step.Graph.Node), set.Manifest.ParamCount()
	if err := set.Write(dir); err != nil {
		return nil, err
	}
	write := seconds(&at)
	load := ""
	if !build {
		t, err := runtime.NewTrainer(dir, runtime.Options{Threads: threads})
		if err != nil {
			return nil, err
		}
		defer t.Close()
		load = seconds(&at)
	}
	total := fmt.Sprintf("%.2f", at.Sub(begin).Seconds())
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return nil, err
	}
	processors := time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
	peak, err := measure.PeakMiB()
	if err != nil {
		return nil, err
	}
	return []string{time.Now().Format(time.DateOnly), "ONNX Runtime " + library.Version, part[0], part[1], part[3], strconv.Itoa(block),
		strconv.Itoa(params), strconv.Itoa(nodes), built, write, load, total, fmt.Sprintf("%.2f", processors), fmt.Sprintf("%.0f", peak), strconv.Itoa(threads), runtime.CPUName()}, nil
}
