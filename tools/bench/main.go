// Command bench times training steps, ours and PyTorch's in turn, in one run.
//
//	go run ./tools/bench                        ResNet-20, batch 128, 2 threads
//	go run ./tools/bench -model resnet20 -threads 1 -rounds 7
//	go run ./tools/bench -ours-only             no Python needed
//	go run ./tools/bench -model small_cnn -batch 64 -go-peers
//
// Every implementation is a process of its own that speaks the line protocol
// described in peer_pytorch.py. The driver lets them run a few steps each,
// turn by turn, so that all see the same minutes of the machine, and takes the
// median over the rounds. It prints the ratio of images per second and writes
// a row per implementation to testdata/results/step_MODEL.csv.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

func main() {
	var c config
	flag.StringVar(&c.model, "model", "resnet20", "network")
	flag.IntVar(&c.batch, "batch", 128, "images a step")
	flag.IntVar(&c.size, "size", 32, "height and width of the images")
	flag.IntVar(&c.classes, "classes", 10, "classes")
	flag.IntVar(&c.threads, "threads", 2, "threads")
	flag.StringVar(&c.layout, "layout", "all", "our forms to time: plain, blocked, kernels (the kernel library, if it is built), or all")
	flag.BoolVar(&c.spinning, "spinning", false, "let our idle threads spin")
	rounds := flag.Int("rounds", 7, "turns of each implementation")
	steps := flag.Int("steps", 5, "steps in a turn")
	python := flag.String("python", ".venv/bin/python", "Python with PyTorch (tools/parity/setup.sh makes it)")
	oursOnly := flag.Bool("ours-only", false, "do not time PyTorch")
	goPeers := flag.Bool("go-peers", false, "time GoMLX and Gorgonia too (with -model small_cnn, which all can differentiate)")
	out := flag.String("out", "", "CSV file; default testdata/results/step_MODEL.csv")
	serve := flag.Bool("serve", false, "be a peer: speak the protocol on stdin and stdout")
	profile := flag.String("profile", "", "with -serve: prefix of ONNX Runtime's own trace of every operator")
	flag.Parse()
	var err error
	if *serve {
		err = servePeer(c, *profile, os.Stdin, os.Stdout)
	} else {
		if *out == "" {
			*out = filepath.Join("testdata", "results", "step_"+c.model+".csv")
		}
		err = drive(c, *rounds, *steps, *python, *oursOnly, *goPeers, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// config is what is timed.
type config struct {
	model                         string
	batch, size, classes, threads int
	layout                        string
	spinning                      bool
}

// args are the flags that every peer understands.
func (c config) args() []string {
	return []string{"--model", c.model, "--batch", strconv.Itoa(c.batch), "--size", strconv.Itoa(c.size),
		"--classes", strconv.Itoa(c.classes), "--threads", strconv.Itoa(c.threads), "--serve"}
}

// peer is a running implementation.
type peer struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	info  map[string]any
	turns []float64 // median step seconds of each turn
}

func start(name string, argv ...string) (*peer, error) {
	p := &peer{name: name, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(stdout)
	p.out.Buffer(nil, 1<<20)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	if p.info, err = p.read(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *peer) read() (map[string]any, error) {
	if !p.out.Scan() {
		return nil, fmt.Errorf("%s ended: %w", p.name, errors.Join(p.out.Err(), p.cmd.Wait()))
	}
	m := map[string]any{}
	if err := json.Unmarshal(p.out.Bytes(), &m); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	if e, ok := m["error"]; ok {
		return nil, fmt.Errorf("%s: %v", p.name, e)
	}
	return m, nil
}

func (p *peer) ask(line string) (map[string]any, error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return p.read()
}

// turn runs a number of steps and keeps their median.
func (p *peer) turn(steps int) error {
	answer, err := p.ask(fmt.Sprintf("run %d", steps))
	if err != nil {
		return err
	}
	list, _ := answer["steps"].([]any)
	var seconds []float64
	for _, s := range list {
		v, ok := s.(float64)
		if !ok {
			return fmt.Errorf("%s: %v is not a duration", p.name, s)
		}
		seconds = append(seconds, v)
	}
	if len(seconds) != steps {
		return fmt.Errorf("%s ran %d steps, not %d", p.name, len(seconds), steps)
	}
	p.turns = append(p.turns, measure.Median(seconds))
	return nil
}

func drive(c config, rounds, steps int, python string, oursOnly, goPeers bool, out string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var peers []*peer
	var unable []string
	defer func() {
		for _, p := range peers {
			fmt.Fprintln(p.in, "quit")
			p.cmd.Wait()
		}
	}()
	add := func(name string, argv ...string) error {
		fmt.Fprintf(os.Stderr, "warming up %s\n", name)
		p, err := start(name, argv...)
		if err == nil {
			peers = append(peers, p)
		}
		return err
	}
	if !oursOnly {
		if _, err := os.Stat(python); err != nil {
			return fmt.Errorf("no Python at %s: run tools/parity/setup.sh, or give -ours-only", python)
		}
		if err := add("PyTorch", append([]string{python, filepath.Join("tools", "bench", "peer_pytorch.py")}, c.args()...)...); err != nil {
			return err
		}
	}
	layouts := []string{c.layout}
	if c.layout == "all" {
		layouts = []string{"plain", "blocked"}
		if _, err := runtime.FindKernels("cpu"); err == nil {
			layouts = append(layouts, "kernels")
		} else {
			fmt.Fprintln(os.Stderr, "without the kernel library:", err)
		}
	}
	for _, l := range layouts {
		if err := add("ortrain "+l, append([]string{self, "-layout", l, "-spinning=" + strconv.FormatBool(c.spinning)}, c.args()...)...); err != nil {
			return err
		}
	}
	if goPeers {
		program, clean, err := buildGoPeers()
		if err != nil {
			return err
		}
		defer clean()
		for _, name := range []string{"gomlx", "gorgonia"} {
			if err := add(name, append([]string{program, "-peer", name}, c.args()...)...); err != nil {
				fmt.Fprintf(os.Stderr, "%s cannot run this: see above\n", name)
				unable = append(unable, name)
			}
		}
	}
	for round := range rounds {
		for _, p := range peers {
			if err := p.turn(steps); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d ", round+1, rounds)
	}
	fmt.Fprintln(os.Stderr)
	infos := make([]map[string]any, len(peers))
	for i, p := range peers {
		if infos[i], err = p.ask("info"); err != nil {
			return err
		}
	}
	// The machine's own measure: the best matrix product of any of them.
	peak := 0.0
	for _, p := range peers {
		answer, err := p.ask("gemm")
		if err != nil {
			return err
		}
		rate, _ := answer["gflops"].(float64)
		peak = max(peak, rate)
	}
	return report(c, peers, infos, unable, steps, peak, out)
}

// report prints the table and writes the rows.
func report(c config, peers []*peer, infos []map[string]any, unable []string, steps int, peak float64, out string) error {
	rows := [][]string{{"date", "implementation", "version", "model", "batch", "size", "threads", "layout",
		"rounds", "steps", "median_step_seconds", "fastest_round", "slowest_round", "images_per_second",
		"ratio_to_pytorch", "peak_rss_mib", "gflops", "share_of_gemm", "cpu"}}
	base := 0.0
	perImage := 0.0 // multiply-adds of the forward pass
	for _, info := range infos {
		if v, ok := info["multiply_adds"].(float64); ok {
			perImage = v
		}
	}
	fmt.Printf("matrix product: %.0f GFLOP/s\n", peak)
	for i, p := range peers {
		info := infos[i]
		m := measure.Median(p.turns)
		rate := float64(c.batch) / m
		ratio := ""
		if p.name == "PyTorch" {
			base = rate
		}
		if base > 0 {
			ratio = fmt.Sprintf("%.3f", rate/base)
		}
		text := func(key string) string {
			if v, ok := info[key]; ok {
				return fmt.Sprint(v)
			}
			return ""
		}
		layout := text("format")
		// Forward, and the gradients of inputs and weights: three times the
		// multiplications and additions of the forward pass.
		gflops := 6 * perImage * rate / 1e9
		fmt.Printf("%-18s %8.1f ms a step  %8.0f images/s  ratio %-6s peak %s MiB  %.0f GFLOP/s, %.0f %% of the product's  %s\n",
			p.name, 1000*m, rate, ratio, text("peak_rss_mib"), gflops, 100*gflops/peak, layout)
		rows = append(rows, []string{time.Now().UTC().Format("2006-01-02"), text("implementation"), text("version"), c.model,
			strconv.Itoa(c.batch), strconv.Itoa(c.size), strconv.Itoa(c.threads), layout,
			strconv.Itoa(len(p.turns)), strconv.Itoa(steps), fmt.Sprintf("%.5f", m),
			fmt.Sprintf("%.5f", slices.Min(p.turns)), fmt.Sprintf("%.5f", slices.Max(p.turns)),
			fmt.Sprintf("%.1f", rate), ratio, text("peak_rss_mib"),
			fmt.Sprintf("%.0f", gflops), fmt.Sprintf("%.3f", gflops/peak), text("cpu")})
	}
	for _, name := range unable {
		fmt.Printf("%-18s cannot run this network\n", name)
		row := make([]string, len(rows[0]))
		row[0], row[1], row[3], row[7] = time.Now().UTC().Format("2006-01-02"), name, c.model, "cannot run this network"
		rows = append(rows, row)
	}
	if err := measure.WriteTable(out, rows); err != nil {
		return err
	}
	fmt.Println("written to", out)
	return nil
}
