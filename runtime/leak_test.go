package runtime_test

import (
	"os"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// held is what the process holds beside memory: open files, goroutines and
// threads.
func held(t *testing.T) (files, goroutines, threads int) {
	t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Skip("the system does not tell what a process holds")
		}
		return len(entries)
	}
	return count("/proc/self/fd"), goruntime.NumGoroutine(), count("/proc/self/task")
}

// TestSessionsLeaveNothing opens a trainer and an evaluator, takes a step,
// evaluates twice, the second time as on a device, and closes them, again and again: 40 times, 500 with -long. After
// the first, nothing is held that is not given back; memory settles.
func TestSessionsLeaveNothing(t *testing.T) {
	ortest.Open(t)
	const batch, classes, size = 16, 10, 16
	dir := ortest.Artifacts(t, artifact.Spec{
		Model: "resnet8", Config: models.Config{Classes: classes, Input: [3]int{3, size, size}},
		Optimizer: "sgd", Batch: batch, Seed: 3, Lowering: lower.Options{Block: runtime.ChannelBlock()},
	})
	images, targets := make([]float32, batch*3*size*size), make([]float32, batch*classes)
	labels := make([]int, batch)
	for i := range labels {
		targets[i*classes] = 1
	}
	session := func() {
		o := runtime.Options{Threads: 2}
		tr, err := runtime.NewTrainer(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		hyper, err := tr.Hyper(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Step(images, targets, hyper); err != nil {
			t.Fatal(err)
		}
		ev, err := runtime.NewEvaluator(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		defer ev.Close()
		batches := func(yield func(runtime.Batch, error) bool) {
			yield(runtime.Batch{Images: images, Labels: labels}, nil)
		}
		for range 2 {
			if _, err := ev.Evaluate(tr.View(), batches); err != nil {
				t.Fatal(err)
			}
			ev.OnDevice() // from now on its state is bound
		}
	}
	warm, sessions := 10, 40
	if *long {
		warm, sessions = 100, 500
	}
	for range warm {
		session()
	}
	before := resident(t)
	files, goroutines, threads := held(t)
	for i := range sessions {
		session()
		if (i+1)%(sessions/10) == 0 {
			f, g, th := held(t)
			t.Logf("after %d sessions: %.1f MiB, %d files, %d goroutines, %d threads", warm+i+1, float64(resident(t))/(1<<20), f, g, th)
		}
	}
	time.Sleep(10 * time.Millisecond) // for goroutines that have just ended
	f, g, th := held(t)
	// Go makes threads as it needs them; two are no sign of a session's.
	if f > files || g > goroutines || th > threads+2 {
		t.Errorf("%d sessions later there are %d files, %d goroutines and %d threads, before %d, %d and %d", sessions, f, g, th, files, goroutines, threads)
	}
	// A session of this size occupies some 10 MiB while it is open. One that
	// kept its smallest vector would add 300 KiB each time.
	grown := float64(resident(t)-before) / float64(sessions) / 1024
	t.Logf("%.1f KiB a session", grown)
	if most := 20 + 8192/float64(sessions); grown > most {
		t.Errorf("memory grows by %.1f KiB a session; a few MiB in all are the allocators'", grown)
	}
}
