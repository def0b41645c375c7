// Serve-load measures ortrain's server under load, with and without batching,
// and writes a CSV:
//
//	go run ./tools/serve-load -onnx MODEL.onnx -out FILE.csv IMAGE…
//
// Both servers run in this process on ports of their own; closed-loop clients
// post the images in turn. The two are measured one after the other in rounds,
// and the median of the rounds is reported. Every answer is checked: it has to
// be 200 and name the class that the model gives to the image alone.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/serve"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

func main() {
	onnx := flag.String("onnx", "", "ONNX classifier `FILE`")
	out := flag.String("out", "", "CSV `FILE` to write (default: standard output)")
	clients := flag.String("clients", "1,4,16,64", "numbers of concurrent clients, comma-separated")
	length := flag.Duration("time", 3*time.Second, "length of one measurement")
	rounds := flag.Int("rounds", 3, "measurements of each, of which the median counts")
	threads := flag.Int("threads", 0, "threads of the model (default: one per core)")
	flag.Parse()
	if *onnx == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: serve-load -onnx MODEL.onnx [-out FILE.csv] IMAGE…")
		os.Exit(2)
	}
	if err := run(*onnx, *out, *clients, *length, *rounds, *threads, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "serve-load:", err)
		os.Exit(1)
	}
}

// image is a file with the class that the model gives it.
type image struct {
	file  []byte
	class int
}

func run(onnx, out, clients string, length time.Duration, rounds, threads int, paths []string) error {
	m, err := job.OpenClassifier(onnx, "", classify.Options{Runtime: runtime.Options{Threads: threads}})
	if err != nil {
		return err
	}
	defer m.Close()
	images := make([]image, len(paths))
	for i, path := range paths {
		if images[i].file, err = os.ReadFile(path); err != nil {
			return err
		}
		a, err := m.Files(context.Background(), images[i].file)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		images[i].class = a[0].Top(1)[0].Index
	}
	var servers []*server
	for _, batch := range []int{1, 32} {
		s, err := start(m, batch)
		if err != nil {
			return err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	lib, _ := runtime.Opened()
	rows := [][]string{{"model", "images", "clients", "max_batch", "requests_per_s", "p50_ms", "p95_ms", "mean_batch", "requests", "threads", "cpu", "onnxruntime"}}
	for _, text := range strings.Split(clients, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil || n < 1 {
			return fmt.Errorf("-clients %q: give positive numbers", clients)
		}
		results := make([][]result, len(servers))
		for range rounds {
			for i, s := range servers {
				r, err := s.load(images, n, length)
				if err != nil {
					return err
				}
				results[i] = append(results[i], r)
			}
		}
		for i, s := range servers {
			slices.SortFunc(results[i], func(a, b result) int { return int(a.rate - b.rate) })
			r := results[i][len(results[i])/2]
			used := threads
			if used == 0 {
				used = runtime.DefaultThreads()
			}
			rows = append(rows, []string{filepath.Base(onnx), fmt.Sprint(len(images)), fmt.Sprint(n), fmt.Sprint(s.batch),
				fmt.Sprintf("%.0f", r.rate), fmt.Sprintf("%.2f", r.p50), fmt.Sprintf("%.2f", r.p95), fmt.Sprintf("%.1f", r.batch),
				fmt.Sprint(r.requests), fmt.Sprint(used), cpu(), lib.Version})
			fmt.Fprintf(os.Stderr, "%3d clients, batches of up to %2d: %6.0f requests/s, p50 %6.2f ms, p95 %6.2f ms, %4.1f images a run\n",
				n, s.batch, r.rate, r.p50, r.p95, r.batch)
		}
	}
	if out == "" {
		_, err := os.Stdout.Write(measure.Table(rows))
		return err
	}
	return measure.WriteTable(out, rows)
}

// server is one that runs here.
type server struct {
	batch int
	url   string
	stop  func()
	runs  func() (runs, images float64)
}

func start(m *classify.Model, batch int) (*server, error) {
	s, err := serve.New(serve.Config{Model: m, Batch: batch, Queue: 1024})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	url := "http://" + l.Addr().String()
	return &server{batch: batch, url: url, stop: func() { cancel(); <-done }, runs: func() (runs, images float64) {
		resp, err := http.Get(url + "/metrics")
		if err != nil {
			return 0, 0
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		for _, line := range strings.Split(string(b), "\n") {
			fmt.Sscanf(line, "ortrain_batch_size_count %g", &runs)
			fmt.Sscanf(line, "ortrain_batch_size_sum %g", &images)
		}
		return runs, images
	}}, nil
}

type result struct {
	rate, p50, p95, batch float64
	requests              int
}

// load asks with n clients for a time.
func (s *server) load(images []image, n int, length time.Duration) (result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var times []float64
	var failed error
	var next atomic.Int64
	runs0, images0 := s.runs()
	begun := time.Now()
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			var mine []float64
			var err error
			for err == nil && time.Since(begun) < length {
				at := time.Now()
				err = ask(client, s.url, images[int(next.Add(1))%len(images)])
				mine = append(mine, float64(time.Since(at).Microseconds())/1000)
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	wait.Wait()
	took := time.Since(begun).Seconds()
	runs, sum := s.runs()
	slices.Sort(times)
	at := func(q float64) float64 { return times[int(q*float64(len(times)-1))] }
	return result{rate: float64(len(times)) / took, p50: at(0.5), p95: at(0.95), batch: (sum - images0) / max(1, runs-runs0), requests: len(times)}, failed
}

func ask(client *http.Client, url string, img image) error {
	resp, err := client.Post(url+"/v1/classify?top=1", "application/octet-stream", bytes.NewReader(img.file))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var r serve.Result
	if resp.StatusCode != http.StatusOK || json.Unmarshal(b, &r) != nil || len(r.Classes) != 1 || r.Classes[0].Index != img.class {
		return fmt.Errorf("answered %d %s; want class %d", resp.StatusCode, b, img.class)
	}
	return nil
}

// cpu names the processor.
func cpu() string { return fmt.Sprintf("%s (%d cores)", runtime.CPUName(), goruntime.NumCPU()) }
