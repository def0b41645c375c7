package serve

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
)

// metrics are what a server counts, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by path and code
	seconds  *prometheus.HistogramVec // by path
	images   prometheus.Counter
	refused  *prometheus.CounterVec // by reason
	flight   prometheus.Gauge
	waited   prometheus.Histogram
	prepared prometheus.Histogram
	ran      prometheus.Histogram
	batches  prometheus.Histogram
}

// newMetrics registers everything; queued reports the inputs that wait.
func newMetrics(model string, queued func() float64) *metrics {
	const space = "ortrain"
	seconds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: space, Name: name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Name: "requests_total",
			Help: "Requests answered, by path and status code."}, []string{"path", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: space, Name: "request_seconds",
			Help: "Time from a request's header to the end of its answer, by path.", Buckets: seconds}, []string{"path"}),
		images: prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Name: "images_total", Help: "Images classified."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Name: "errors_total",
			Help: "Requests not answered with classes, by reason."}, []string{"reason"}),
		flight:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: space, Name: "requests_in_flight", Help: "Classifications in progress, uploads and waiting ones included."}),
		waited:   histogram("queue_seconds", "Time an image waits for its batch to start.", seconds),
		prepared: histogram("prepare_seconds", "Time to decode an image and make it the model's input.", seconds),
		ran:      histogram("inference_seconds", "Time of one run of the model.", seconds),
		batches:  histogram("batch_size", "Images of one run of the model.", []float64{1, 2, 4, 8, 16, 32, 64, 128}),
	}
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: space, Name: "info", Help: "1, with what runs here as labels.",
		ConstLabels: prometheus.Labels{"version": artifact.Version, "model": model, "onnxruntime": libraryVersion()}}, func() float64 { return 1 })
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: space, Name: "queue_length", Help: "Images that wait for a batch."}, queued)
	m.registry.MustRegister(m.requests, m.seconds, m.images, m.refused, m.flight, m.waited, m.prepared, m.ran, m.batches, info, waiting,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func libraryVersion() string {
	lib, _ := runtime.Opened()
	return lib.Version
}

func (m *metrics) answered(path string, code int, took time.Duration) {
	m.requests.WithLabelValues(path, strconv.Itoa(code)).Inc()
	m.seconds.WithLabelValues(path).Observe(took.Seconds())
}
