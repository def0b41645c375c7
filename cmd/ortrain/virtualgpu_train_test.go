package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// lossesOf returns the training and the test loss of a run's last epoch.
func lossesOf(t *testing.T, dir string) [2]float64 {
	t.Helper()
	rows := metrics(t, dir)
	head, last := rows[0], rows[len(rows)-1]
	var l [2]float64
	for i, name := range []string{"train_loss", "test_loss"} {
		if _, err := fmt.Sscan(last[slices.Index(head, name)], &l[i]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return l
}

// TestTrainOnVirtualDevice: steps on a device go where the CPU's go: one at a
// time, several in a run with a rest (5 steps in twos), beside a teacher on the
// same device. A run that is interrupted there goes on there and on the CPU.
func TestTrainOnVirtualDevice(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, trainArgs(data, at("teaching"), "--epochs", "1")...)
	must(t, "export", "--run", at("teaching"), "--out", at("teacher.onnx"))
	small := []string{"--epochs", "1", "--batch", "8", "--limit", "40"}
	for _, c := range []struct {
		name string
		more []string
	}{
		{"single", nil},
		{"loop", []string{"--set", "steps_per_run=2"}},
		{"teacher", []string{"--teacher", at("teacher.onnx"), "--set", "steps_per_run=2"}},
	} {
		args := append(trainArgs(data, at(c.name), small...), c.more...)
		must(t, args...)
		want := lossesOf(t, at(c.name))
		args = append(trainArgs(data, at(c.name+"-device"), small...), c.more...)
		if out, err := onVirtualDevice(t, append(args, "--cuda", "tf32=false")...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, out)
		}
		got := lossesOf(t, at(c.name+"-device"))
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-3*want[i] {
				t.Errorf("%s: losses %v on the device, %v on the CPU", c.name, got, want)
			}
		}
	}

	cut := at("cut")
	cmd := onVirtualDevice(t, trainArgs(data, cut, append(small, "--epochs", "4")...)...)
	code, said := during(t, cmd, "epoch 1/", func() { cmd.Process.Signal(syscall.SIGINT) })
	if code != exitInterrupted || !strings.Contains(said, "stopped; continue with: ortrain train --resume") {
		t.Fatalf("exit code %d, want %d:\n%s", code, exitInterrupted, said)
	}
	if out, err := onVirtualDevice(t, "train", "--resume", "--out", cut, "--stop-after", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, "train", "--resume", "--out", cut, "--provider", "cpu")
	if rows := metrics(t, cut); len(rows) != 5 {
		t.Errorf("%d epochs in its metrics, want 4", len(rows)-1)
	}
}

// TestTooLittleDeviceMemory: a step that does not fit says which batch would.
func TestTooLittleDeviceMemory(t *testing.T) {
	ortest.Open(t)
	dir := filepath.Join(t.TempDir(), "run")
	cmd := onVirtualDevice(t, trainArgs(bars(t), dir, "--epochs", "1", "--batch", "256")...)
	cmd.Env = append(cmd.Env, "VIRTUALGPU_MEMORY_MIB=64", "VIRTUALGPU_NUMERICS=0")
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	last := lines[len(lines)-1]
	if err == nil || !strings.HasPrefix(last, "ortrain: ") || !strings.Contains(last, "images at a time would fit into the 0.0625 GiB of device 0 (virtual device)") {
		t.Errorf("%v:\n%s", err, said.String())
	}
	if _, err := os.Stat(filepath.Join(dir, job.ModelFile)); err == nil {
		t.Error("it left a model")
	}
}
