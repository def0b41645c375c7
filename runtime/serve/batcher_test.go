package serve

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/ortest"
)

type runner func(context.Context, ...*classify.Input) ([]classify.Answer, error)

func echo(ctx context.Context, in ...*classify.Input) ([]classify.Answer, error) {
	return make([]classify.Answer, len(in)), nil
}

func batcherOf(t *testing.T, run runner, most int, delay time.Duration) *batcher {
	t.Helper()
	b := newBatcher(run, most, delay, 100, newMetrics("test", func() float64 { return 0 }))
	t.Cleanup(func() { b.close(context.Background()) })
	return b
}

// TestBatcherFills: a full batch starts at once, however long the delay.
func TestBatcherFills(t *testing.T) {
	b := batcherOf(t, echo, 3, time.Hour)
	b.expected.Store(100)
	var wait sync.WaitGroup
	for range 9 {
		wait.Go(func() {
			got, err := b.classify(t.Context(), []*classify.Input{{}})
			if err != nil || got[0].batch != 3 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wait.Wait()
}

// TestBatcherWaits: one input alone is answered when the delay is over, at once
// when there is none or no other is expected.
func TestBatcherWaits(t *testing.T) {
	for delay, others := range map[time.Duration]int{-1: 5, time.Millisecond: 5, time.Hour: 0} {
		b := batcherOf(t, echo, 8, delay)
		for range others {
			b.expect()
		}
		for range 3 {
			b.expect()
			if got, err := b.classify(t.Context(), []*classify.Input{{}}); err != nil || got[0].batch != 1 {
				t.Errorf("delay %v: %+v, %v", delay, got, err)
			}
		}
	}
}

// TestBatcherDropsTheGone: inputs whose requests have ended are not run.
func TestBatcherDropsTheGone(t *testing.T) {
	release, ran := make(chan struct{}), make(chan int, 10)
	b := batcherOf(t, func(ctx context.Context, in ...*classify.Input) ([]classify.Answer, error) {
		ran <- len(in)
		<-release
		return echo(ctx, in...)
	}, 4, 0)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := b.classify(t.Context(), []*classify.Input{{}}); err != nil {
			t.Error(err)
		}
	})
	if n := <-ran; n != 1 {
		t.Fatalf("%d inputs ran", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	wait.Go(func() {
		if _, err := b.classify(ctx, []*classify.Input{{}, {}}); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that has ended: %v", err)
		}
	})
	for len(b.queue) < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wait.Go(func() {
		if got, err := b.classify(t.Context(), []*classify.Input{{}}); err != nil || got[0].batch != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	for len(b.queue) < 3 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wait.Wait()
	if n := <-ran; n != 1 {
		t.Errorf("%d inputs ran, of which two were not wanted any more", n)
	}
}

// TestBatcherFails: an error, a panic or a wrong number of answers reaches all
// inputs of its batch and no other.
func TestBatcherFails(t *testing.T) {
	for says, run := range map[string]runner{
		"no memory": func(context.Context, ...*classify.Input) ([]classify.Answer, error) {
			return nil, errors.New("no memory")
		},
		"internal error: oops":      func(context.Context, ...*classify.Input) ([]classify.Answer, error) { panic("oops") },
		"internal error: 0 answers": func(context.Context, ...*classify.Input) ([]classify.Answer, error) { return nil, nil },
	} {
		fail := true
		b := batcherOf(t, func(ctx context.Context, in ...*classify.Input) ([]classify.Answer, error) {
			if fail {
				return run(ctx, in...)
			}
			return echo(ctx, in...)
		}, 2, 0)
		if _, err := b.classify(t.Context(), []*classify.Input{{}, {}}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %s", err, says)
		}
		b.close(context.Background())
		if _, err := b.classify(t.Context(), []*classify.Input{{}}); !errors.Is(err, errStopped) {
			t.Errorf("after closing: %v", err)
		}
		b2 := batcherOf(t, echo, 2, 0)
		if _, err := b2.classify(t.Context(), []*classify.Input{{}, {}, {}}); err != nil {
			t.Error(err)
		}
	}
}

// TestBatcherCloses: what is queued is answered, unless the time is over.
func TestBatcherCloses(t *testing.T) {
	begun := make(chan struct{}, 1)
	b := batcherOf(t, func(ctx context.Context, in ...*classify.Input) ([]classify.Answer, error) {
		begun <- struct{}{}
		<-ctx.Done() // a run that lasts until it is ended
		return nil, ctx.Err()
	}, 1, 0)
	failed := make(chan error, 1)
	go func() {
		_, err := b.classify(context.Background(), []*classify.Input{{}})
		failed <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.close(ctx)
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was ended: %v", err)
	}
	b = batcherOf(t, echo, 2, time.Hour)
	b.expected.Store(100)
	go func() {
		_, err := b.classify(context.Background(), []*classify.Input{{}})
		failed <- err
	}()
	// Closing ends the wait for a full batch, whether it has begun or not.
	for b.put(&job{ctx: context.Background(), input: &classify.Input{}, result: make(chan result, 1)}) != nil {
		t.Fatal("the queue is closed")
	}
	b.close(context.Background())
	if err := <-failed; err != nil && !errors.Is(err, errStopped) {
		t.Errorf("queued before closing: %v", err)
	}
}

// TestLateAnswers: what the model does wrong is a 5xx, not an end.
func TestLateAnswers(t *testing.T) {
	ortest.Open(t)
	g := ortest.Graph{
		Inputs:   []*onnx.ValueInfoProto{ortest.Floats("images", -1, 3, 4, 4)},
		Outputs:  []*onnx.ValueInfoProto{ortest.Floats("logits", -1, 3)},
		Nodes:    []*onnx.NodeProto{ortest.Node("ReduceMean", []string{"images"}, []string{"logits"}, onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0))},
		Metadata: runtime.ModelInfo{Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}}.Metadata(),
	}
	m, err := classify.New("m.onnx", g.Bytes(t), classify.Options{Runtime: runtime.Options{Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	nan := float32(0)
	nan /= nan
	for name, c := range map[string]struct {
		run   runner
		code  int
		says  string
		retry string
	}{
		"slow": {func(ctx context.Context, in ...*classify.Input) ([]classify.Answer, error) {
			time.Sleep(100 * time.Millisecond)
			return echo(ctx, in...)
		}, 503, "no answer within 20ms", "1"},
		"failing": {func(context.Context, ...*classify.Input) ([]classify.Answer, error) {
			return nil, fmt.Errorf("m.onnx: no memory")
		}, 500, "no memory", ""},
		"panic": {func(context.Context, ...*classify.Input) ([]classify.Answer, error) { panic("oops") }, 500, "internal error", ""},
		"no number": {func(context.Context, ...*classify.Input) ([]classify.Answer, error) {
			return []classify.Answer{{Values: []float32{nan, 1}, Probabilities: true}}, nil
		}, 500, "no number", ""},
	} {
		s, err := New(Config{Model: m, Timeout: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		s.batcher.close(context.Background())
		s.batcher = newBatcher(c.run, 4, 0, 10, s.metrics)
		ask := func() *httptest.ResponseRecorder {
			var b strings.Builder
			if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/classify", strings.NewReader(b.String())))
			return w
		}
		if w := ask(); w.Code != c.code || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s: %d %s %v; want %d with %q", name, w.Code, w.Body, w.Header(), c.code, c.says)
		}
		if n := s.batcher.expected.Load(); n != 0 {
			t.Errorf("%s: %d requests are still expected", name, n)
		}
		s.Close()
		if w := ask(); w.Code != 503 || !strings.Contains(w.Body.String(), "stopping") || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s, closed: %d %s", name, w.Code, w.Body)
		}
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil)); w.Code != 503 {
			t.Errorf("%s: readyz of a closed server is %d", name, w.Code)
		}
		if w := httptest.NewRecorder(); true {
			if s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil)); w.Code != 200 {
				t.Errorf("%s: healthz is %d", name, w.Code)
			}
		}
	}
}
