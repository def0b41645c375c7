package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// StepColumns are the columns of the table of speeds; peer.py writes the same.
var stepColumns = []string{"implementation", "model", "batch", "size", "precision", "layout", "input", "steps a run", "images/s", "ms a step",
	"device MiB", "device", "version"}

// step times the training step, from the images in host memory to the loss
// there.
func step(c config) error {
	before := c.deviceMiB()
	t, done, err := c.trainer(c.spec(), c.session())
	if err != nil {
		return err
	}
	defer done()
	in := c.inputs(c.perRun)
	one, err := t.Hyper(map[string]float32{"lr": 0.01})
	if err != nil {
		return err
	}
	var hyper []float32
	for range c.perRun {
		hyper = append(hyper, one...)
	}
	run := func() error {
		if c.perRun > 1 {
			_, err := t.StepMany(in, hyper, c.perRun)
			return err
		}
		_, err := t.StepInputs(in, hyper, 0, 1)
		return err
	}
	for range 3 { // the search for convolutions, and the arena's growth
		if err := run(); err != nil {
			return err
		}
	}
	runs := max(1, c.steps/c.perRun)
	var seconds []float64
	for range c.rounds {
		begun := time.Now()
		for range runs {
			if err := run(); err != nil {
				return err
			}
		}
		seconds = append(seconds, time.Since(begun).Seconds()/float64(runs*c.perRun))
	}
	s := measure.Median(seconds)
	memory := ""
	if after := c.deviceMiB(); after > 0 {
		memory = fmt.Sprint(after - before)
	}
	input := "uint8 from the host"
	if c.float32Images {
		input = "float32 from the host"
	}
	lib, _ := runtime.Opened()
	return add(c.out, stepColumns, []string{"ortrain", c.model, fmt.Sprint(c.batch), fmt.Sprint(c.size), precision(c), c.layout(), input, fmt.Sprint(c.perRun),
		fmt.Sprintf("%.1f", float64(c.batch)/s), fmt.Sprintf("%.2f", 1000*s), memory, c.deviceName(), "ONNX Runtime " + lib.Version})
}

// deviceMiB is the memory in use on the device by nvidia-smi; 0 if it does not
// tell.
func (c config) deviceMiB() int {
	if c.provider != lower.CUDA {
		return 0
	}
	out, err := exec.Command("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", strconv.Itoa(c.device)).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(out)))
	return n
}
