package serve

import (
	"net/http"
	"path/filepath"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
)

// ModelAnswer is what GET /v1/model says.
type ModelAnswer struct {
	File        string            `json:"file"`
	Input       PortAnswer        `json:"input"`
	Output      PortAnswer        `json:"output"`
	Classes     int               `json:"classes,omitempty"`
	ClassNames  []string          `json:"class_names,omitempty"`
	Mean        []float32         `json:"mean,omitempty"`
	Std         []float32         `json:"std,omitempty"`
	Metadata    map[string]string `json:"metadata"`
	Limits      LimitsAnswer      `json:"limits"`
	Version     string            `json:"version"`
	ONNXRuntime string            `json:"onnxruntime"`
}

// PortAnswer describes an input or output; a dimension that is free is -1.
type PortAnswer struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Shape []int64 `json:"shape"`
}

// LimitsAnswer says what a request may hold.
type LimitsAnswer struct {
	Bytes     int64 `json:"bytes"`
	Pixels    int   `json:"pixels"`
	Images    int   `json:"images"`
	TimeoutMS int64 `json:"timeout_ms"`
	Batch     int   `json:"batch"`
}

func (s *Server) model(w http.ResponseWriter, _ *http.Request) *failure {
	m, c := s.config.Model, s.config
	n, info := m.Network(), m.Info()
	describe := func(p runtime.Port) PortAnswer { return PortAnswer{p.Name, p.Type.String(), p.Shape} }
	return reply(w, http.StatusOK, ModelAnswer{
		File: filepath.Base(m.Name()), Input: describe(n.Input()), Output: describe(n.Output()), Classes: n.Classes(),
		ClassNames: info.ClassNames, Mean: info.Mean, Std: info.Std, Metadata: m.Metadata(),
		Limits:  LimitsAnswer{Bytes: c.Body, Pixels: m.MaxPixels(), Images: c.Images, TimeoutMS: c.Timeout.Milliseconds(), Batch: c.Batch},
		Version: artifact.Version, ONNXRuntime: libraryVersion(),
	})
}
