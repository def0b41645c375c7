package main

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// sample is what the process holds at a time.
type sample struct {
	at                         time.Duration
	session, epoch, step       int
	rss, heap                  float64 // MiB
	files, goroutines, threads int
}

// watch takes samples between training steps. It implements job.Reporter.
type watch struct {
	begun    time.Time
	every    time.Duration
	sessions int
	samples  []sample
}

func (w *watch) Start(job.Plan)      {}
func (w *watch) Evaluating(_, _ int) {}
func (w *watch) Epoch(job.Epoch)     {}
func (w *watch) Note(line string)    { fmt.Fprintln(os.Stderr, line) }

func (w *watch) Step(p job.Progress) {
	at := time.Since(w.begun)
	if n := len(w.samples); n > 0 && at-w.samples[n-1].at < w.every {
		return
	}
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	rss, _ := measure.ResidentMiB() // 0 where the system does not tell
	threads, _ := measure.Status("Threads")
	w.samples = append(w.samples, sample{
		at: at, session: w.sessions + 1, epoch: p.Epoch + 1, step: p.Step,
		rss: rss, heap: float64(m.HeapInuse) / (1 << 20),
		files: files(), goroutines: goruntime.NumGoroutine(), threads: int(threads),
	})
}

func files() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries) - 1 // the folder itself
}

func (w *watch) write(path string) error {
	rows := [][]string{{"seconds", "session", "epoch", "step", "rss_mib", "go_heap_mib", "open_files", "goroutines", "threads"}}
	for _, s := range w.samples {
		rows = append(rows, []string{strconv.Itoa(int(s.at.Seconds())), strconv.Itoa(s.session), strconv.Itoa(s.epoch), strconv.Itoa(s.step),
			strconv.FormatFloat(s.rss, 'f', 1, 64), strconv.FormatFloat(s.heap, 'f', 1, 64),
			strconv.Itoa(s.files), strconv.Itoa(s.goroutines), strconv.Itoa(s.threads)})
	}
	return measure.WriteTable(path, rows)
}

// share allows a growth by a part of what there was.
func share(part float64) func(float64) float64 {
	return func(before float64) float64 { return before * (1 + part) }
}

// verdict compares the first and the last quarter after the warm-up, a tenth of
// the time: medians, so that a sample in an unusual moment does not count.
func (w *watch) verdict() (string, error) {
	late := w.samples[len(w.samples)/10:]
	quarter := len(late) / 4
	if quarter < 2 {
		return "", fmt.Errorf("%d samples are too few to judge", len(w.samples))
	}
	first, last := late[:quarter], late[len(late)-quarter:]
	text := fmt.Sprintf("%.1f minutes, %d sessions, %d samples, ONNX Runtime and Go %s\n", w.samples[len(w.samples)-1].at.Minutes(), w.sessions, len(w.samples), goruntime.Version())
	var grown []string
	for _, c := range []struct {
		name  string
		field func(sample) float64
		most  func(before float64) float64 // that it may be in the end
	}{
		{"memory, MiB", func(s sample) float64 { return s.rss }, share(0.05)},
		{"of it Go's heap, MiB", func(s sample) float64 { return s.heap }, share(0.25)},
		{"open files", func(s sample) float64 { return float64(s.files) }, share(0)},
		{"goroutines", func(s sample) float64 { return float64(s.goroutines) }, share(0)},
		{"threads", func(s sample) float64 { return float64(s.threads) }, func(n float64) float64 { return n + 2 }}, // Go makes them as it needs them
	} {
		a, b := median(first, c.field), median(last, c.field)
		text += fmt.Sprintf("  %-22s first quarter %8.1f  last quarter %8.1f\n", c.name, a, b)
		if b > c.most(a) {
			grown = append(grown, c.name)
		}
	}
	if len(grown) > 0 {
		return text, fmt.Errorf("it grew: %s", strings.Join(grown, "; "))
	}
	return text + "nothing grows", nil
}

func median(list []sample, field func(sample) float64) float64 {
	values := make([]float64, len(list))
	for i, s := range list {
		values[i] = field(s)
	}
	return measure.Median(values)
}
