package data

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"
)

// Report says what a loader did in a stretch of training, and whether the
// training waited for it.
type Report struct {
	Timing
	// Elapsed is the length of the stretch.
	Elapsed time.Duration
	// Workers is the number of goroutines that made images, Cores what there
	// is to run them.
	Workers, Cores int
}

// Report returns what the loader did since an earlier timing.
func (l *Loader) Report(since Timing, elapsed time.Duration) Report {
	return Report{Timing: l.Timing().Sub(since), Elapsed: elapsed, Workers: l.opt.Workers, Cores: runtime.GOMAXPROCS(0)}
}

// WaitShare is the share of the time in which the training waited for data.
func (r Report) WaitShare() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return min(1, float64(r.Wait)/float64(r.Elapsed))
}

// Stages says how much of the workers' time each stage took, in one line.
func (r Report) Stages() string {
	if r.Work <= 0 {
		return "no images were made"
	}
	var parts []string
	for _, s := range []struct {
		name string
		time time.Duration
	}{{"read", r.Read}, {"decode", r.Decode}, {"augment", r.Transform}, {"mix", r.Mix + r.Target}} {
		parts = append(parts, fmt.Sprintf("%s %.0f %%", s.name, 100*float64(s.time)/float64(r.Work)))
	}
	busy := 0.0
	if r.Elapsed > 0 {
		busy = 100 * float64(r.Work) / (float64(r.Elapsed) * float64(r.Workers))
	}
	workers := fmt.Sprintf("%d workers", r.Workers)
	if r.Workers == 1 {
		workers = "1 worker"
	}
	return fmt.Sprintf("%s of the work of %s, busy %.0f %% of the time; wait %.1f %%", strings.Join(parts, ", "), workers, min(busy, 100), 100*r.WaitShare())
}

// WorthAWord is the share of waiting from which on something should be done.
const WorthAWord = 0.02

// Verdict says in plain words whether the training waits for data and what to
// do about it.
func (r Report) Verdict() string {
	wait := r.WaitShare()
	if wait < WorthAWord {
		return "the step does not wait for data"
	}
	said := fmt.Sprintf("the step waits for data %.0f %% of the time: ", 100*wait)
	// Without waiting the step would take what is left of the time, and the
	// same work has to fit into that; a tenth more, since work comes in lumps.
	need := math.Ceil(1.1 * float64(r.Work) / max(float64(r.Elapsed-r.Wait), 1))
	slow := "use a cheaper augmentation"
	if r.Read+r.Decode > r.Transform+r.Mix {
		slow = "pack the data set (ortrain data pack)"
	}
	switch {
	case need > float64(r.Workers) && need <= float64(r.Cores):
		return said + fmt.Sprintf("use %.0f workers (data.workers), or %s", need, slow)
	case r.Workers < r.Cores:
		return said + fmt.Sprintf("use %d workers (data.workers), or %s", r.Cores, slow)
	}
	return said + fmt.Sprintf("the %d cores are too few for it: %s", r.Cores, slow)
}
