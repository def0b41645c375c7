package job_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestStopWhileEvaluating: a run that is stopped in an evaluation, or while the
// norms of an average are measured, ends the epoch again when it is resumed:
// with the same bytes and the same row of its history.
func TestStopWhileEvaluating(t *testing.T) {
	ortest.Open(t)
	data := digits(t)
	for _, average := range []string{"ema", "swa"} {
		changes := []string{"data.dir=" + data, "limit=160", "average=" + average, "schedule.warmup=none"}
		whole, cut := t.TempDir(), t.TempDir()
		if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		_, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: cut, Reporter: &evaluatingStopper{stopper{1 << 30, cancel}}})
		cancel()
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "after step 5 of 5, checkpoint written") {
			t.Fatalf("%s: %v", average, err)
		}
		if _, err := job.Train(context.Background(), job.Config{Out: cut, Resume: true}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{job.CheckpointFile, job.ModelFile} {
			if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
				t.Errorf("%s: %s differs from the uninterrupted run's", average, name)
			}
		}
		if a, b := rows(t, whole), rows(t, cut); a != b {
			t.Errorf("%s: the history differs from the uninterrupted run's:\n%s\n%s", average, a, b)
		}
	}
}

// rows are a run's history without what the clock says.
func rows(t *testing.T, dir string) string {
	t.Helper()
	list, err := metrics.Read(filepath.Join(dir, job.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].ImagesPerSecond, list[i].WaitShare, list[i].Seconds = 0, 0, 0
	}
	return string(metrics.Encode(list))
}

// TestTimedCheckpoints: checkpoints by a clock that is run by the test appear
// when they should, only the last few and the best stay, and the run ends with
// the bytes of one without them.
func TestTimedCheckpoints(t *testing.T) {
	ortest.Open(t)
	data := digits(t)
	base := []string{"data.dir=" + data, "limit=320", "checkpoint.keep=3"} // 10 steps an epoch
	plain, timed := t.TempDir(), t.TempDir()
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, base...), Out: plain}); err != nil {
		t.Fatal(err)
	}
	// The clock is read at the start, after every step, and by every checkpoint;
	// each step takes a minute, but for one in which the clock goes back a day
	// and one in which it jumps a year ahead.
	now, steps := time.Duration(0), 0
	r := &stepCounter{f: func() {
		switch now += time.Minute; steps {
		case 4:
			now -= 24 * time.Hour
		case 13:
			now += 365 * 24 * time.Hour
		}
		steps++
	}}
	c := job.WithClock(job.Config{Recipe: mnist(t, append(base, "checkpoint.minutes=3", "checkpoint.keep_best=true")...), Out: timed, Reporter: r},
		func() time.Duration { return now })
	if _, err := job.Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile} {
		if !bytes.Equal(read(t, plain, name), read(t, timed, name)) {
			t.Errorf("%s differs from that of the run without timed checkpoints", name)
		}
	}
	list, err := job.Checkpoints(timed)
	if err != nil {
		t.Fatal(err)
	}
	var have []int64
	for _, s := range list {
		have = append(have, s.Step)
	}
	// After 3 minutes; the clock goes back in step 5, so again 3 minutes later,
	// after 8; after the epoch; 13; 14, where it jumps; 17; 20. Kept are the last
	// three, and the best, which is that of an epoch.
	if want := []int64{14, 17, 20}; !equalTail(have, want) {
		t.Errorf("checkpoints after steps %v, want %v and the best", have, want)
	}
	if len(have) == 4 && have[0] != 10 {
		t.Errorf("the best checkpoint is after step %d", have[0])
	}
}

func equalTail(have, want []int64) bool {
	if len(have) < len(want) {
		return false
	}
	for i, w := range want {
		if have[len(have)-len(want)+i] != w {
			return false
		}
	}
	return true
}

type silentReporter struct{}

func (silentReporter) Start(job.Plan)      {}
func (silentReporter) Step(job.Progress)   {}
func (silentReporter) Evaluating(_, _ int) {}
func (silentReporter) Epoch(job.Epoch)     {}
func (silentReporter) Note(string)         {}

// stepCounter calls a function after every step.
type stepCounter struct {
	silentReporter
	f func()
}

func (s *stepCounter) Step(job.Progress) { s.f() }
