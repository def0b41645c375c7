package serve

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// routes maps paths to handlers. Metrics and log lines know only these paths,
// whatever clients ask for.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	on := func(path, method string, h func(http.ResponseWriter, *http.Request) *failure) {
		mux.Handle(path, s.watched(path, method, h))
	}
	on("/v1/classify", http.MethodPost, s.classify)
	on("/v1/model", http.MethodGet, s.model)
	on("/healthz", http.MethodGet, func(w http.ResponseWriter, _ *http.Request) *failure {
		return reply(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	on("/readyz", http.MethodGet, func(w http.ResponseWriter, _ *http.Request) *failure {
		if !s.ready.Load() {
			return stopping()
		}
		return reply(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	exposition := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	on("/metrics", http.MethodGet, func(w http.ResponseWriter, r *http.Request) *failure {
		exposition.ServeHTTP(w, r)
		return nil
	})
	mux.Handle("/", s.watched("other", "", func(w http.ResponseWriter, r *http.Request) *failure {
		return &failure{code: http.StatusNotFound, reason: "path",
			text: fmt.Sprintf("there is no %s here; POST an image to /v1/classify, or GET /v1/model, /healthz, /readyz or /metrics", r.URL.Path)}
	}))
	return mux
}

// failure is an answer that is no result.
type failure struct {
	code   int
	reason string // for the metrics
	text   string // for the client
	file   string // the image it is about, of several
	after  int    // seconds until it is worth trying again; 0: never
}

func stopping() *failure {
	return &failure{code: http.StatusServiceUnavailable, reason: "stopping", text: errStopped.Error(), after: 5}
}

// watched adds to a handler what all have: method check, errors as JSON,
// metrics, a log line, and that a panic is a 500.
func (s *Server) watched(path, method string, h func(http.ResponseWriter, *http.Request) *failure) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		note := &record{ResponseWriter: w}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		f := guarded(note, r, h, method)
		if f != nil {
			s.metrics.refused.WithLabelValues(f.reason).Inc()
			f.write(note)
		}
		took := time.Since(begun)
		s.metrics.answered(path, note.code, took)
		attributes := []any{"remote", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "status", note.code,
			"received", r.ContentLength, "sent", note.sent, "ms", float64(took.Microseconds()) / 1000}
		if note.images > 0 {
			attributes = append(attributes, "images", note.images, "batch", note.batch)
		}
		level := slog.LevelInfo
		if f != nil {
			attributes = append(attributes, "error", f.text)
			if f.code >= 500 {
				level = slog.LevelWarn
			}
		}
		s.config.Log.Log(r.Context(), level, "request", attributes...)
	})
}

func guarded(w *record, r *http.Request, h func(http.ResponseWriter, *http.Request) *failure, method string) (f *failure) {
	defer func() {
		if p := recover(); p != nil {
			f = &failure{code: http.StatusInternalServerError, reason: "internal", text: "internal error"}
			slog.Error("panic", "path", r.URL.Path, "value", p, "stack", string(debug.Stack()))
		}
	}()
	if method != "" && r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", method)
		return &failure{code: http.StatusMethodNotAllowed, reason: "method", text: fmt.Sprintf("%s takes %s, not %s", r.URL.Path, method, r.Method)}
	}
	return h(w, r)
}

// write answers with the failure, unless an answer has begun.
func (f *failure) write(w *record) {
	if w.code != 0 {
		return
	}
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.after))
	}
	body := map[string]string{"error": f.text}
	if f.file != "" {
		body["file"] = f.file
	}
	reply(w, f.code, body)
}

// reply answers with JSON.
func reply(w http.ResponseWriter, code int, v any) *failure {
	b, err := json.Marshal(v)
	if err != nil {
		return &failure{code: http.StatusInternalServerError, reason: "internal", text: "the model's answer is no number"}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	w.Write(append(b, '\n')) // a client that has gone needs no answer
	return nil
}

// record notes what a handler answers.
type record struct {
	http.ResponseWriter
	code, images, batch int
	sent                int64
}

func (r *record) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *record) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *record) Unwrap() http.ResponseWriter { return r.ResponseWriter }
