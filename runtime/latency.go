package runtime

import (
	"slices"
	"time"
)

// Latency is how long runs of a model took.
type Latency struct {
	// Batch is the number of images of a run, Runs how many were timed.
	Batch int `json:"batch"`
	Runs  int `json:"runs"`
	// P50 and P95 are the median and the 95th percentile, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
}

// MeasureLatency times functions that each run a model on the same batch. They
// take turns, so that a change of the machine's pace meets all alike, after
// three untimed turns. It stops after the given number of turns, or, with at
// least five, once the budget is spent.
func MeasureLatency(batch, turns int, budget time.Duration, runs ...func() error) ([]Latency, error) {
	times := make([][]float64, len(runs))
	begun := time.Now()
	for turn := -3; turn < turns; turn++ {
		for i, run := range runs {
			start := time.Now()
			if err := run(); err != nil {
				return nil, err
			}
			if turn >= 0 {
				times[i] = append(times[i], float64(time.Since(start))/float64(time.Millisecond))
			}
		}
		if turn >= 4 && time.Since(begun) > budget {
			break
		}
	}
	out := make([]Latency, len(runs))
	for i, t := range times {
		slices.Sort(t)
		at := func(q float64) float64 { return t[min(len(t)-1, int(q*float64(len(t))))] }
		out[i] = Latency{Batch: batch, Runs: len(t), P50: at(0.5), P95: at(0.95)}
	}
	return out, nil
}
