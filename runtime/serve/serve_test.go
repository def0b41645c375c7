package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/runtime/serve"
)

// TestMain checks at the end that no server leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brightness is a model whose logits are ten times the means of the three
// channels, in 0…10, so that every colour has its own answer.
func brightness(t testing.TB) *classify.Model {
	t.Helper()
	ortest.Open(t)
	g := ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("images", -1, 3, 4, 4)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("logits", -1, 3)},
		Nodes:   []*onnx.NodeProto{ortest.Node("ReduceMean", []string{"images"}, []string{"logits"}, onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0))},
		Metadata: runtime.ModelInfo{ClassNames: []string{"red", "green", "blue"},
			Mean: []float32{0, 0, 0}, Std: []float32{0.1, 0.1, 0.1}}.Metadata(),
	}
	return load(t, g)
}

func load(t testing.TB, g ortest.Graph) *classify.Model {
	t.Helper()
	m, err := classify.New("brightness.onnx", g.Bytes(t), classify.Options{Runtime: runtime.Options{Threads: 1}, MaxPixels: 1000 * 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// running is a server on a port of its own that the test stops.
type running struct {
	*serve.Server
	url  string
	stop context.CancelFunc
	done chan error
}

func start(t testing.TB, c serve.Config) *running {
	t.Helper()
	s, err := serve.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Server: s, url: "http://" + l.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { r.done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if r.done != nil {
			<-r.done
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

// picture is a PNG of one colour and a size.
func picture(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// probabilities are the model's for a colour.
func probabilities(c color.NRGBA) [3]float64 {
	var p [3]float64
	sum := 0.0
	for i, v := range []uint8{c.R, c.G, c.B} {
		p[i] = math.Exp(float64(v) / 25.5)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// wrong reports a result that is not the model's for a colour.
func wrong(r serve.Result, c color.NRGBA) error {
	want := probabilities(c)
	if len(r.Classes) != 3 {
		return fmt.Errorf("%d classes", len(r.Classes))
	}
	for i, k := range r.Classes {
		if k.Index < 0 || k.Index > 2 || math.Abs(k.Probability-want[k.Index]) > 1e-5 || k.Name != []string{"red", "green", "blue"}[k.Index] ||
			i > 0 && k.Probability > r.Classes[i-1].Probability {
			return fmt.Errorf("%+v; want %v", r.Classes, want)
		}
	}
	return nil
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

func post(url, kind string, body io.Reader) (answer, error) {
	resp, err := http.Post(url, kind, body)
	if err != nil {
		return answer{}, err
	}
	return receive(resp)
}

func get(url string) (answer, error) {
	resp, err := http.Get(url)
	if err != nil {
		return answer{}, err
	}
	return receive(resp)
}

func receive(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// refusal reports an answer that is not an error in JSON with the code and
// words.
func (a answer) refusal(code int, words string) error {
	var body struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.code != code || !strings.Contains(body.Error, words) ||
		!strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		return fmt.Errorf("%d %q; want %d with %q", a.code, a.body, code, words)
	}
	return nil
}

// form encodes files as a form.
func form(t testing.TB, files map[string][]byte, order ...string) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range order {
		part, err := w.CreateFormFile("image", name)
		if err != nil {
			t.Fatal(err)
		}
		part.Write(files[name])
	}
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// TestRequests: every path and way to send an image.
func TestRequests(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t), Images: 3})
	red, sea := color.NRGBA{200, 10, 20, 255}, color.NRGBA{1, 100, 110, 255}
	for _, kind := range []string{"image/png", "application/octet-stream", "image/jpeg; charset=x", ""} {
		a, err := post(r.url+"/v1/classify", kind, bytes.NewReader(picture(t, 9, 5, red)))
		var one serve.Result
		if err != nil || a.code != 200 || json.Unmarshal([]byte(a.body), &one) != nil || wrong(one, red) != nil {
			t.Errorf("%q: %+v, %v, %v", kind, a, err, wrong(one, red))
		}
	}
	kind, body := form(t, map[string][]byte{"red.png": picture(t, 1, 1, red), "sea.png": picture(t, 300, 200, sea)}, "sea.png", "red.png")
	a, err := post(r.url+"/v1/classify?top=3", kind, bytes.NewReader(body))
	var all serve.Results
	if err != nil || a.code != 200 || json.Unmarshal([]byte(a.body), &all) != nil || len(all.Images) != 2 ||
		all.Images[0].File != "sea.png" || wrong(all.Images[0], sea) != nil || wrong(all.Images[1], red) != nil {
		t.Errorf("two images: %+v, %v", a, err)
	}
	if a, err := post(r.url+"/v1/classify?top=1", "image/png", bytes.NewReader(picture(t, 2, 2, sea))); err != nil ||
		strings.Count(a.body, "index") != 1 || !strings.Contains(a.body, `"blue"`) {
		t.Errorf("the best class: %+v, %v", a, err)
	}
	for path, want := range map[string]string{
		"/healthz": `{"status":"alive"}`, "/readyz": `{"status":"ready"}`,
		"/v1/model": `"class_names":["red","green","blue"]`,
		"/metrics":  `ortrain_requests_total{code="200",path="/v1/classify"} 6`,
	} {
		if a, err := get(r.url + path); err != nil || a.code != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %+v, %v; want %s", path, a, err, want)
		}
	}
	a, _ = get(r.url + "/metrics")
	for _, want := range []string{"ortrain_images_total 7", "ortrain_batch_size_sum 7", "ortrain_request_seconds_bucket", "ortrain_requests_in_flight 0", `model="brightness.onnx"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if r.Answered() != 6 {
		t.Errorf("%d requests answered", r.Answered())
	}
}

// TestConfig: what makes no sense is refused.
func TestConfig(t *testing.T) {
	m := brightness(t)
	for _, c := range []serve.Config{{}, {Model: m, Batch: -1}, {Model: m, Queue: -1}, {Model: m, Timeout: -time.Second}} {
		if s, err := serve.New(c); err == nil {
			s.Close()
			t.Errorf("%+v was taken", c)
		}
	}
	s, err := serve.New(serve.Config{Model: m})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
}
