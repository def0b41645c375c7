package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
)

// small_cnn is the network that every Go library can differentiate (gopeers),
// not one that anybody wants to train.
func init() {
	models.Register(&models.Model{
		Name: "small_cnn", Description: "two convolutions and a linear layer, for comparisons", Source: "none", MinInput: 4,
		Forward: func(b *nn.Builder, x *ir.Value, c models.Config) *ir.Value {
			b.Init = nn.HeFanOut
			x = b.Relu("relu1", b.Conv("conv1", x, 16, 3, ir.Window(1, 1)))
			x = b.Relu("relu2", b.Conv("conv2", x, 32, 3, ir.Window(2, 1)))
			return b.Linear("linear", b.G.One("pool", ir.GlobalAvgPool{}, x), c.Classes)
		},
	})
}

// buildGoPeers builds the program of the other Go libraries, a module of its
// own. A library that one of them uses asks to be told by the environment that
// the Go version is newer than it knows.
func buildGoPeers() (program string, clean func(), err error) {
	dir, err := os.MkdirTemp("", "ortrain-gopeers-*")
	if err != nil {
		return "", nil, err
	}
	clean = func() { os.RemoveAll(dir) }
	program = filepath.Join(dir, "gopeers")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("tools", "bench", "gopeers")
	if out, err := build.CombinedOutput(); err != nil {
		clean()
		return "", nil, fmt.Errorf("tools/bench/gopeers does not build: %w: %s", err, out)
	}
	version := goruntime.Version()
	if parts := strings.Split(version, "."); len(parts) > 2 {
		version = strings.Join(parts[:2], ".")
	}
	os.Setenv("ASSUME_NO_MOVING_GC_UNSAFE_RISK_IT_WITH", version)
	return program, clean, nil
}
