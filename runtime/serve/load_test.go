package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ortrain/ortrain/runtime/serve"
)

// TestLoad: many clients at once, broken requests among the good ones. Every
// request gets exactly one answer, and that is its own; nothing is lost.
func TestLoad(t *testing.T) {
	const clients, requests = 24, 40
	r := start(t, serve.Config{Model: brightness(t), Batch: 8, Body: 1 << 16, Queue: 2 * clients})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var good, images, refused atomic.Int64
	var wait sync.WaitGroup
	for g := range clients {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(g)))
			colour := func() color.NRGBA {
				return color.NRGBA{uint8(random.IntN(256)), uint8(random.IntN(256)), uint8(random.IntN(256)), 255}
			}
			ask := func(kind string, body io.Reader) (answer, error) {
				resp, err := client.Post(r.url+"/v1/classify", kind, body)
				if err != nil {
					return answer{}, err
				}
				return receive(resp)
			}
			for i := range requests {
				c, d := colour(), colour()
				file := picture(t, 1+random.IntN(40), 1+random.IntN(40), c)
				var err error
				var a answer
				switch random.IntN(8) {
				case 0: // broken in one of several ways
					refused.Add(1)
					switch i % 5 {
					case 0:
						if a, err = ask("image/png", bytes.NewReader(file[:len(file)-15])); err == nil {
							err = a.refusal(422, "damaged")
						}
					case 1:
						if a, err = ask("image/png", strings.NewReader("no image")); err == nil {
							err = a.refusal(415, "not a JPEG")
						}
					case 2:
						if a, err = ask("image/png", bytes.NewReader(megapixels(10000, 10000))); err == nil {
							err = a.refusal(413, "megapixels")
						}
					case 3: // of a length that is not told beforehand
						if a, err = ask("image/png", io.LimitReader(zeros{}, 1<<16+1)); err == nil {
							err = a.refusal(413, "at most 65536 bytes")
						}
					case 4: // a client that goes away in the middle
						refused.Add(-1)
						err = hangUp(strings.TrimPrefix(r.url, "http://"))
					}
				case 1: // two in one
					kind, body := form(t, map[string][]byte{"c": file, "d": picture(t, 3, 3, d)}, "c", "d")
					var all serve.Results
					if a, err = ask(kind, bytes.NewReader(body)); err == nil {
						if err = json.Unmarshal([]byte(a.body), &all); err == nil && len(all.Images) != 2 {
							err = fmt.Errorf("%d answers", len(all.Images))
						}
						if err == nil {
							if err = wrong(all.Images[0], c); err == nil {
								err = wrong(all.Images[1], d)
							}
						}
					}
					good.Add(1)
					images.Add(2)
				default:
					var one serve.Result
					if a, err = ask("image/png", bytes.NewReader(file)); err == nil {
						if err = json.Unmarshal([]byte(a.body), &one); err == nil {
							err = wrong(one, c)
						}
					}
					good.Add(1)
					images.Add(1)
				}
				if err != nil {
					t.Errorf("client %d, request %d: %v (%d %s)", g, i, err, a.code, a.body)
				}
			}
		})
	}
	wait.Wait()
	a, err := get(r.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	count := func(pattern string) (sum int64) {
		for _, m := range regexp.MustCompile(`(?m)^`+pattern+` ([0-9.e+]+)$`).FindAllStringSubmatch(a.body, -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += int64(v)
		}
		return sum
	}
	if n := count(`ortrain_requests_total\{code="200",path="/v1/classify"\}`); n != good.Load() || r.Answered() != n {
		t.Errorf("%d good requests were sent, %d (%d) answered", good.Load(), n, r.Answered())
	}
	if n := count("ortrain_images_total"); n != images.Load() {
		t.Errorf("%d images were sent, %d answered", images.Load(), n)
	}
	if n := count(`ortrain_requests_total\{code="4(?:13|15|22)",path="/v1/classify"\}`); n != refused.Load() {
		t.Errorf("%d broken requests were sent, %d refused", refused.Load(), n)
	}
	runs, sum := count("ortrain_batch_size_count"), count("ortrain_batch_size_sum")
	if sum != images.Load() || runs == 0 || runs >= sum {
		t.Errorf("%d runs of %d images; none ran together", runs, sum)
	}
	if n := count("ortrain_batch_size_bucket{le=\"8\"}"); n != runs {
		t.Errorf("%d of %d runs are within the batch of 8", n, runs)
	}
	if a, err := post(r.url+"/v1/classify", "image/png", bytes.NewReader(picture(t, 3, 3, color.White))); err != nil || a.code != 200 {
		t.Errorf("after the load: %+v, %v", a, err)
	}
	if n := count("ortrain_requests_in_flight") + count("ortrain_queue_length"); n != 0 {
		t.Errorf("%d requests are still in progress", n)
	}
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// hangUp sends half a request.
func hangUp(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nhalf")
	return err
}

// TestBatchesAnswerAlike: what an image is answered does not depend on what
// runs beside it.
func TestBatchesAnswerAlike(t *testing.T) {
	m := brightness(t)
	alone := start(t, serve.Config{Model: m, Batch: 1})
	together := start(t, serve.Config{Model: m, Batch: 16, Images: 16})
	files, order := map[string][]byte{}, []string{}
	for i := range 16 {
		name := fmt.Sprint("image", i)
		files[name], order = picture(t, 1+i, 17-i, color.NRGBA{uint8(16 * i), 100, uint8(255 - 9*i), 255}), append(order, name)
	}
	kind, body := form(t, files, order...)
	ask := func(r *running) string {
		a, err := post(r.url+"/v1/classify", kind, bytes.NewReader(body))
		if err != nil || a.code != 200 {
			t.Fatalf("%+v, %v", a, err)
		}
		return a.body
	}
	if a, b := ask(alone), ask(together); a != b {
		t.Errorf("alone:\n%s\ntogether:\n%s", a, b)
	}
	a, err := get(together.url + "/metrics")
	if err != nil || !strings.Contains(a.body, "ortrain_batch_size_count 1\n") {
		t.Errorf("the images did not run together: %v", err)
	}
}

// TestQueueIsBounded: an upload in progress holds the only place; others are
// told to come again, and are answered when it is free.
func TestQueueIsBounded(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t), Queue: 1})
	red := color.NRGBA{200, 10, 20, 255}
	file := picture(t, 5, 5, red)
	pipe, feed := io.Pipe()
	first := make(chan error, 1)
	go func() {
		a, err := post(r.url+"/v1/classify", "image/png", pipe)
		if err == nil && a.code != 200 {
			err = fmt.Errorf("%+v", a)
		}
		first <- err
	}()
	if _, err := feed.Write(file[:10]); err != nil {
		t.Fatal(err)
	}
	for {
		if a, err := get(r.url + "/metrics"); err != nil || strings.Contains(a.body, "ortrain_requests_in_flight 1\n") {
			break
		}
	}
	a, err := post(r.url+"/v1/classify", "image/png", bytes.NewReader(file))
	if err != nil || a.refusal(429, "1 requests are in progress") != nil || a.header.Get("Retry-After") != "1" {
		t.Errorf("with a full queue: %+v, %v", a, err)
	}
	if a, err := get(r.url + "/readyz"); err != nil || a.code != 200 {
		t.Errorf("ready with a full queue: %+v, %v", a, err)
	}
	feed.Write(file[10:])
	feed.Close()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if a, err := post(r.url+"/v1/classify", "image/png", bytes.NewReader(file)); err != nil || a.code != 200 {
		t.Errorf("with a place free again: %+v, %v", a, err)
	}
}

// TestShutdown: told to stop, a server takes no more, finishes an upload that
// has begun, and ends without an error.
func TestShutdown(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t)})
	file := picture(t, 5, 5, color.NRGBA{200, 10, 20, 255})
	pipe, feed := io.Pipe()
	begun := make(chan answer, 1)
	go func() {
		a, err := post(r.url+"/v1/classify", "image/png", pipe)
		if err != nil {
			t.Error(err)
		}
		begun <- a
	}()
	feed.Write(file[:10])
	for {
		if a, err := get(r.url + "/metrics"); err != nil || strings.Contains(a.body, "ortrain_requests_in_flight 1\n") {
			break
		}
	}
	r.stop()
	for { // the listener is closed soon
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-r.done:
		t.Fatalf("the server ended before its last request: %v", err)
	default:
	}
	feed.Write(file[10:])
	feed.Close()
	if a := <-begun; a.code != 200 {
		t.Errorf("the request in progress: %+v", a)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done = nil
	if r.Answered() != 1 {
		t.Errorf("%d requests answered", r.Answered())
	}
}
