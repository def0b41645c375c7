package job

import (
	"context"
	"fmt"
	"net"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/serve"
)

// ServeConfig says which model to serve where.
type ServeConfig struct {
	ONNX string
	// Listen is the address to listen on, host:port; port 0 takes a free one.
	Listen string
	// Declared goes before what the model's metadata says.
	Declared runtime.ModelInfo
	// MaxPixels bounds an image (0: classify.DefaultMaxPixels).
	MaxPixels int
	Execution
	// Server holds the limits; its Model is set by Serve.
	Server serve.Config
	// Started, if set, is called once requests are answered.
	Started func(at net.Addr, m *classify.Model)
}

// Serve offers a classifier over HTTP until the context is done, then finishes
// the requests in progress. It returns the number of requests that were
// answered with classes.
func Serve(ctx context.Context, c ServeConfig) (answered int64, err error) {
	o, err := c.Execution.open()
	if err != nil {
		return 0, err
	}
	m, err := classify.Open(c.ONNX, classify.Options{
		Runtime: o, Declared: c.Declared, MaxPixels: c.MaxPixels, Batch: c.Server.Batch})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	if err := m.Warm(ctx); err != nil {
		return 0, err
	}
	c.Server.Model = m
	s, err := serve.New(c.Server)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return 0, fmt.Errorf("cannot listen on %s: %w", c.Listen, err)
	}
	if c.Started != nil {
		c.Started(l.Addr(), m)
	}
	err = s.Serve(ctx, l)
	return s.Answered(), err
}
