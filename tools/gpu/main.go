// Command gpu measures training on a GPU: the pieces of run.sh that are not
// PyTorch's.
//
//	gpu check     the CUDA step against the CPU's: losses, logits, gradients
//	gpu step      images a second of a training step
//	gpu profile   where the time of a step goes
//	gpu forms     the fastest form of every operator
//
// With -provider cpu everything runs lowered for CUDA on the CPU, which proves
// the program and measures nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
)

// config is what is run.
type config struct {
	provider, library, model string
	device, batch, size      int
	classes, perRun          int
	mixed, float32Images     bool
	noTF32, heuristic        bool
	noKernels                bool
	steps, rounds            int
	out                      string
}

func main() {
	var c config
	fs := flag.NewFlagSet("gpu", flag.ExitOnError)
	fs.StringVar(&c.provider, "provider", lower.CUDA, "cuda, or cpu to try the program")
	fs.StringVar(&c.library, "library", "", "the ONNX Runtime library (default: searched)")
	fs.IntVar(&c.device, "device", 0, "number of the device")
	fs.StringVar(&c.model, "model", "resnet18", "network")
	fs.IntVar(&c.batch, "batch", 512, "images a step")
	fs.IntVar(&c.size, "size", 32, "height and width of the images")
	fs.IntVar(&c.classes, "classes", 10, "classes")
	fs.IntVar(&c.perRun, "steps-per-run", 1, "training steps in one run, by a loop in the graph")
	fs.BoolVar(&c.mixed, "mixed", false, "mixed precision")
	fs.BoolVar(&c.float32Images, "float32-images", false, "images as float32 instead of 8-bit")
	fs.BoolVar(&c.noTF32, "no-tf32", false, "products of float32 in float32")
	fs.BoolVar(&c.heuristic, "heuristic", false, "convolutions by cuDNN's heuristics instead of exhaustive search")
	fs.BoolVar(&c.noKernels, "no-kernels", false, "without the kernel library, where there is one")
	fs.IntVar(&c.steps, "steps", 40, "timed steps in a round")
	fs.IntVar(&c.rounds, "rounds", 3, "rounds")
	fs.StringVar(&c.out, "out", "", "CSV file to add a row to, or to write; default stdout alone")
	what := ""
	if len(os.Args) > 1 {
		what = os.Args[1]
		if err := fs.Parse(os.Args[2:]); err != nil {
			os.Exit(2)
		}
	}
	commands := map[string]func(config) error{"check": check, "step": step, "profile": profile, "forms": forms}
	run, ok := commands[what]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: gpu check|step|profile|forms [flags]")
		os.Exit(2)
	}
	if err := c.open(); err == nil {
		err = run(c)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gpu:", err)
			os.Exit(1)
		}
	} else {
		fmt.Fprintln(os.Stderr, "gpu:", err)
		os.Exit(1)
	}
}

// open finds and opens the library.
func (c config) open() error {
	lib, err := runtime.FindLibraryFor(c.provider, c.library)
	if err != nil {
		return err
	}
	if err := runtime.Open(lib); err != nil {
		return err
	}
	if c.provider != lower.CUDA {
		return nil
	}
	if _, err := runtime.FindKernels(c.provider); err != nil && !errors.Is(err, runtime.ErrNoKernels) {
		return err
	}
	if err := runtime.CheckCUDA(lib, c.device); err != nil {
		return err
	}
	return nil
}

// session returns the options of a session.
func (c config) session() runtime.Options {
	return runtime.Options{Provider: c.provider, CUDA: runtime.CUDA{Device: c.device, NoTF32: c.noTF32, HeuristicSearch: c.heuristic}}
}

// kernels reports whether the step uses the kernel library. The CPU provider, which
// tries the program, has no operators of CUDA's.
func (c config) kernels() bool {
	_, err := runtime.FindKernels(lower.CUDA)
	return c.provider == lower.CUDA && !c.noKernels && err == nil
}

// layout names that of the maps, and whose operators are used.
func (c config) layout() string {
	if c.kernels() {
		return "nhwc, kernel library"
	}
	return "nchw"
}

// spec describes the set that is timed, lowered for CUDA.
func (c config) spec() artifact.Spec {
	s := artifact.Spec{
		Model: c.model, Config: models.Config{Classes: c.classes, Input: [3]int{3, c.size, c.size}},
		Optimizer: "sgd", Batch: c.batch, Seed: 1, Loop: c.perRun > 1,
		Lowering: lower.Options{Provider: lower.CUDA, Kernels: c.kernels(), Choices: c.chosen()},
	}
	if c.mixed {
		s.Precision = &artifact.Mixed{LossScale: 1024, Dynamic: true, GrowthInterval: 2000}
	}
	if !c.float32Images {
		s.Pixels = &artifact.Pixels{Scale: []float32{1. / 64, 1. / 64, 1. / 64}, Shift: []float32{-2, -2, -2}}
	}
	return s
}

// trainer builds a set and opens it; close removes it.
func (c config) trainer(s artifact.Spec, o runtime.Options) (t *runtime.Trainer, close func(), err error) {
	set, err := artifact.Build(s)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "ortrain-gpu-*")
	if err != nil {
		return nil, nil, err
	}
	if err = set.Write(dir); err == nil {
		t, err = runtime.NewTrainer(dir, o)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return t, func() { t.Close(); os.RemoveAll(dir) }, nil
}

// device names what runs the step.
func (c config) deviceName() string {
	lib, _ := runtime.Opened()
	if c.provider == lower.CUDA {
		if d := runtime.ExamineCUDA(lib).Devices; c.device < len(d) {
			return d[c.device].Name
		}
	}
	return runtime.CPUName()
}

// folder makes the folder of a file.
func folder(path string) error { return os.MkdirAll(filepath.Dir(path), 0o755) }
