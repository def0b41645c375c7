package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

var long = flag.Bool("long", false, "kill 200 runs, not a few (minutes)")

// killable are the flags of a run that has every kind of state: slots, a moving
// average, draws of the loader and of the network, a schedule that observes.
func killable(data, out string, more ...string) []string {
	return trainArgs(data, out, append([]string{"--epochs", "4", "--resume", "auto",
		"--set", "optimizer.name=adamw", "--set", "schedule.lr=0.002", "--set", "schedule.name=plateau", "--set", "schedule.patience=1",
		"--set", "augment=[crop, rotation]", "--set", "mix=[mixup]", "--set", "average=ema", "--set", "model.options.dropout=0.1",
		"--set", "data.validation=32", "--set", "data.workers=2", "--threads", "1"}, more...)...)
}

// often makes a run write checkpoints at every step or so.
var often = []string{"--set", "checkpoint.minutes=0.0001", "--set", "checkpoint.keep=3", "--set", "checkpoint.keep_best=true"}

// killer kills runs and compares their ends with a run that was left alone.
type killer struct {
	data, whole string
	length      time.Duration // of the whole run
	rng         *rand.Rand
	kills, bare int // bare are those before the first checkpoint
}

func newKiller(t *testing.T) *killer {
	t.Helper()
	k := &killer{data: bars(t), whole: filepath.Join(t.TempDir(), "whole")}
	seed := uint64(time.Now().UnixNano())
	t.Logf("moments by seed %d", seed)
	k.rng = rand.New(rand.NewPCG(seed, 0))
	begun := time.Now()
	if out, err := process(t, killable(k.data, k.whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	k.length = time.Since(begun)
	return k
}

// kill lets the command run for a time and kills it; it tells whether it was
// done before.
func (k *killer) kill(t *testing.T, after time.Duration, args []string) (done bool) {
	t.Helper()
	cmd := process(t, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Signal(syscall.SIGKILL) })
	err := cmd.Wait()
	timer.Stop()
	if strings.Contains(said.String(), "skipped") {
		t.Fatalf("a kill left a damaged checkpoint:\n%s", said.String())
	}
	if err == nil {
		return true
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() {
		t.Fatalf("%v:\n%s", err, said.String())
	}
	k.kills++
	return false
}

// check requires that whatever there is of a run is whole.
func (k *killer) check(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, job.CheckpointFile)
	list, err := job.Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		k.bare++
	} else {
		list = append(list, job.SavedCheckpoint{Path: path})
	}
	for _, s := range list {
		if _, err := runtime.InspectCheckpoint(s.Path); err != nil {
			t.Error(err)
		}
	}
}

// finish runs the command to its end and compares.
func (k *killer) finish(t *testing.T, dir string, args []string) {
	t.Helper()
	if out, err := process(t, args...).CombinedOutput(); err != nil || strings.Contains(string(out), "skipped") {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile} {
		if !bytes.Equal(read(t, k.whole, name), read(t, dir, name)) {
			t.Errorf("%s of a killed run differs from that of one that was not", name)
		}
	}
	if a, b := history(t, k.whole), history(t, dir); !slices.Equal(a, b) {
		t.Errorf("the history of a killed run differs from that of one that was not:\n%s\n%s", a, b)
	}
	for _, pattern := range []string{".*", "*/.*"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
	}
}

// history are the rows of a run's metrics without what the clock says.
func history(t *testing.T, dir string) []string {
	t.Helper()
	rows := metrics(t, dir)
	var list []string
	for _, row := range rows {
		for i, name := range rows[0] {
			if !slices.Contains([]string{"images_per_second", "wait_share", "seconds"}, name) {
				list = append(list, row[i])
			}
		}
	}
	return list
}

// moment is a random time up to a length.
func (k *killer) moment(length time.Duration) time.Duration {
	return time.Duration(k.rng.Int64N(int64(length)))
}

// TestKilledOnce: runs that are killed at a random moment each and resumed end
// with the bytes of one that was left alone. 4 kills, 200 with -long.
func TestKilledOnce(t *testing.T) {
	ortest.Open(t)
	k := newKiller(t)
	want := 4
	if *long {
		want = 200
	}
	for i := 0; k.kills < want; i++ {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("run", i))
		args := killable(k.data, dir)
		if i%2 == 1 {
			args = append(args, often...)
		}
		if !k.kill(t, k.moment(k.length), args) {
			k.check(t, dir)
		}
		k.finish(t, dir, args)
		os.RemoveAll(dir)
	}
	t.Logf("%d kills, %d of them before the first checkpoint", k.kills, k.bare)
}

// TestKilledAgainAndAgain: a run that is killed again and again until it is done
// ends with the bytes of one that was left alone. 6 kills, 200 with -long.
func TestKilledAgainAndAgain(t *testing.T) {
	ortest.Open(t)
	k := newKiller(t)
	want := 6
	if *long {
		want = 200
	}
	for i := 0; k.kills < want; i++ {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("run", i))
		args := append(killable(k.data, dir), often...)
		lives := 1
		// Short lives, of which some do not get as far as the first step.
		for k.kills < want && !k.kill(t, k.moment(k.length/2), args) {
			k.check(t, dir)
			lives++
		}
		k.finish(t, dir, args)
		t.Logf("a run of %d lives", lives)
		os.RemoveAll(dir)
	}
	t.Logf("%d kills, %d of them before the first checkpoint", k.kills, k.bare)
}
