package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// during starts the command, calls f when it has printed a line that begins with
// a prefix, waits for its end, and returns its exit code and what it printed on
// standard error.
func during(t *testing.T, cmd *exec.Cmd, prefix string, f func()) (code int, said string) {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		fmt.Fprintln(&all, lines.Text())
		if f != nil && strings.HasPrefix(lines.Text(), prefix) {
			f()
			f = nil
		}
	}
	cmd.Wait() // its exit code is looked at by the caller
	if f != nil {
		t.Fatalf("it never printed %q:\n%s", prefix, all.String())
	}
	return cmd.ProcessState.ExitCode(), all.String()
}

// complaint requires that a command has failed with one line at the end that
// holds the words.
func complaint(t *testing.T, code int, said string, words ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	last := lines[len(lines)-1]
	if code != exitError || !strings.HasPrefix(last, "ortrain: ") || strings.Count(said, "ortrain: ") != 1 || strings.Contains(said, "goroutine ") {
		t.Errorf("exit code %d, want %d, and one line of complaint:\n%s", code, exitError, said)
	}
	for _, w := range words {
		if !strings.Contains(last, w) {
			t.Errorf("%q does not say %q", last, w)
		}
	}
}

// TestTwoRunsOneFolder: the second of two runs on one folder is refused, also
// when it would resume; after the first was killed it is not.
func TestTwoRunsOneFolder(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	first := process(t, trainArgs(data, dir, "--set", "epochs=10000")...)
	during(t, first, "epoch 1/", func() {
		for _, args := range [][]string{trainArgs(data, dir), trainArgs(data, dir, "--resume", "auto"), {"train", "--resume", "--out", dir}} {
			refused(t, args, dir, fmt.Sprintf("pid %d on ", first.Process.Pid))
		}
		first.Process.Signal(syscall.SIGKILL)
	})
	o := must(t, "train", "--resume", "--out", dir, "--stop-after", "3")
	if !strings.Contains(o.err, "resuming at epoch ") {
		t.Errorf("it does not resume:\n%s", o.err)
	}
}

// TestFullDisk: a run whose disk fills up names the file, keeps the last
// checkpoint, and goes on once there is room.
func TestFullDisk(t *testing.T) {
	ortest.Open(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("no small disk can be made here (%v); TestFileSizeLimit tries the like", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	data, whole, dir := bars(t), filepath.Join(t.TempDir(), "whole"), filepath.Join(disk, "run")
	more := []string{"--set", "epochs=6"}
	must(t, trainArgs(data, whole, more...)...)
	filler := filepath.Join(disk, "filler")
	code, said := during(t, process(t, trainArgs(data, dir, more...)...), "epoch 1/", func() { fill(t, filler) })
	// The history or the checkpoint, whichever comes first.
	complaint(t, code, said, "cannot write "+dir, syscall.ENOSPC.Error())
	o := ortrain(t, "train", "--resume", "--out", dir)
	complaint(t, o.code, o.err, "cannot write "+dir, syscall.ENOSPC.Error(), "continue with: ortrain train --resume --out "+dir)
	must(t, "eval", "--run", dir) // the last good one is whole
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	must(t, "train", "--resume", "--out", dir)
	sameRun(t, whole, dir)
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 1 << 16; n > 0; n /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
}

// TestFileSizeLimit: a checkpoint that may not be written is an error, no crash.
func TestFileSizeLimit(t *testing.T) {
	ortest.Open(t)
	data, whole, dir := bars(t), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	must(t, trainArgs(data, whole)...)
	must(t, trainArgs(data, dir, "--stop-after", "1")...)
	before := read(t, dir, job.CheckpointFile)
	// The checkpoint takes 600 kB, every other file less than 400.
	cmd := process(t, "train", "--resume", "--out", dir)
	cmd.Env = append(cmd.Env, asLimited+"=fsize=500000")
	code, said := during(t, cmd, "", nil)
	complaint(t, code, said, "cannot write "+filepath.Join(dir, job.CheckpointsDir), syscall.EFBIG.Error())
	if !bytes.Equal(before, read(t, dir, job.CheckpointFile)) {
		t.Error("the last checkpoint was changed")
	}
	must(t, "train", "--resume", "--out", dir)
	sameRun(t, whole, dir)
}

// TestNoMemory: a session that cannot allocate says what to lower.
func TestNoMemory(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	// A batch of 256 of the wide network takes some 2.5 GB.
	cmd := process(t, trainArgs(data, dir, "--model", "wrn16_8", "--batch", "256", "--threads", "1", "--set", "data.workers=1")...)
	cmd.Env = append(cmd.Env, asLimited+"=as=3500000000", "ORTRAIN_KERNELS=none")
	code, said := during(t, cmd, "", nil)
	complaint(t, code, said, "not enough memory", "lower batch, now 256", "accumulate: 2")
}
