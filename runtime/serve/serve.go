// Package serve offers a classifier over HTTP.
//
//	POST /v1/classify   an image, or several as multipart/form-data → classes
//	GET  /v1/model      what the model is and takes
//	GET  /healthz       200 while the process lives
//	GET  /readyz        200 while new requests are taken, else 503
//	GET  /metrics       Prometheus
//
// Requests that arrive together are classified together: one run of the model
// takes up to Config.Batch images, and the first of them waits at most
// Config.Delay for others that are being decoded, not at all if there are none. Everything a client may send is bounded: the
// size of its request, the pixels of its images (refused before they are
// allocated), the time it takes to send them and to be answered, and how many
// are served at once. What is refused gets a 4xx or 503 and one JSON line that
// says why; the server lives on.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/ortrain/ortrain/runtime/classify"
)

// Config says what to serve and within which limits. Zero values mean the
// defaults named.
type Config struct {
	// Model answers; it stays the caller's, who closes it after Serve.
	Model *classify.Model
	// Batch is the most images of one run (0: the model's fixed batch, or 32);
	// 1 turns batching off.
	Batch int
	// Delay is how long the first image of a batch waits for others that are
	// being decoded (0: 2 ms; negative: not at all).
	Delay time.Duration
	// Queue is how many classifications may be in progress at once, uploads
	// and waiting ones included; more are answered 429 (0: 256).
	Queue int
	// Images is the most images of one request (0: 16).
	Images int
	// Body is the most bytes of one request (0: 16 MiB).
	Body int64
	// Upload is how long a client may take to send its request (0: 15 s),
	// Timeout how long an answer may take after that (0: 10 s; 503 then).
	Upload, Timeout time.Duration
	// Drain is how long Serve waits for requests in progress when it is told
	// to stop (0: 30 s).
	Drain time.Duration
	// Top is how many classes are answered unless the request says (0: 5).
	Top int
	// Log receives a line for every request; nil is silent.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Model == nil {
		return c, errors.New("serve: no model given")
	}
	if c.Batch < 0 || c.Queue < 0 || c.Images < 0 || c.Body < 0 || c.Upload < 0 || c.Timeout < 0 || c.Drain < 0 || c.Top < 0 {
		return c, errors.New("serve: a limit is negative")
	}
	if c.Batch == 0 {
		if c.Batch = c.Model.Network().Batch(); c.Batch == 0 {
			c.Batch = classify.DefaultBatch
		}
	}
	orDefault(&c.Delay, 2*time.Millisecond)
	orDefault(&c.Queue, 256)
	orDefault(&c.Images, 16)
	orDefault(&c.Body, 16<<20)
	orDefault(&c.Upload, 15*time.Second)
	orDefault(&c.Timeout, 10*time.Second)
	orDefault(&c.Drain, 30*time.Second)
	orDefault(&c.Top, 5)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Server answers HTTP requests with a classifier.
type Server struct {
	config  Config
	batcher *batcher
	metrics *metrics
	handler http.Handler
	// places admits classifications, decoders as many decodings as there are
	// cores: what waits for one holds encoded bytes only.
	places   chan struct{}
	decoders chan struct{}
	ready    atomic.Bool
	answered atomic.Int64
}

// New makes a server that Close frees. It is ready at once.
func New(c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, places: make(chan struct{}, c.Queue), decoders: make(chan struct{}, goruntime.GOMAXPROCS(0))}
	s.metrics = newMetrics(filepath.Base(c.Model.Name()), func() float64 { return float64(len(s.batcher.queue)) })
	s.batcher = newBatcher(c.Model.Run, c.Batch, c.Delay, c.Queue*c.Images, s.metrics)
	s.handler = s.routes()
	s.ready.Store(true)
	return s, nil
}

// Handler serves the paths of this package, for a program with an HTTP server
// of its own, which then has to bound the time of uploads.
func (s *Server) Handler() http.Handler { return s.handler }

// Answered returns the number of classifications answered with classes.
func (s *Server) Answered() int64 { return s.answered.Load() }

// Serve answers requests on the listener, which it closes, until the context
// is done. Then it takes no more, finishes those in progress within
// Config.Drain, and closes the server. The error is nil after an orderly end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: min(5*time.Second, s.config.Upload),
		ReadTimeout:       s.config.Upload,
		WriteTimeout:      s.config.Upload + s.config.Timeout + 5*time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that go away or speak no HTTP
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		s.Close()
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.ready.Store(false)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Drain)
	defer cancel()
	err := h.Shutdown(drain)
	if err != nil {
		h.Close()
		err = fmt.Errorf("%d requests were not finished within %v", len(s.places), s.config.Drain)
	}
	<-failed // http.ErrServerClosed
	s.Close()
	return err
}

// Close ends what runs and frees the server; requests that come after it are
// answered 503. Closing twice is harmless.
func (s *Server) Close() {
	s.ready.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.batcher.close(ctx)
}
