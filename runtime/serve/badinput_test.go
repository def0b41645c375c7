package serve_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image/color"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ortrain/ortrain/runtime/serve"
)

// megapixels is the beginning of a PNG file of a size.
func megapixels(w, h uint32) []byte {
	header := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h), 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(header))
}

// TestBadRequests: each gets its 4xx with one line of JSON, and the server
// answers the next good one.
func TestBadRequests(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t), Body: 4000, Images: 2})
	red := color.NRGBA{200, 10, 20, 255}
	good := picture(t, 9, 5, red)
	classify := r.url + "/v1/classify"
	three, threeBody := form(t, map[string][]byte{"a": good}, "a", "a", "a")
	none, noneBody := form(t, nil)
	second, secondBody := form(t, map[string][]byte{"a.png": good, "b.png": []byte("text")}, "a.png", "b.png")
	_, cutBody := form(t, map[string][]byte{"a": good}, "a")
	for name, c := range map[string]struct {
		url, kind string
		body      []byte
		code      int
		says      string
	}{
		"no body":         {classify, "image/png", nil, 400, "empty"},
		"no image":        {classify, "image/png", []byte("hello"), 415, "not a JPEG, PNG, WebP, GIF or BMP image"},
		"cut":             {classify, "image/png", good[:len(good)-20], 422, "damaged PNG"},
		"100 megapixels":  {classify, "image/png", megapixels(10000, 10000), 413, "10000×10000 are 100 megapixels, at most 1"},
		"too long":        {classify, "image/png", make([]byte, 4001), 413, "at most 4000 bytes"},
		"text":            {classify, "text/plain", good, 415, `"text/plain"`},
		"curl's default":  {classify, "application/x-www-form-urlencoded", good, 415, "multipart/form-data"},
		"not a type":      {classify, "image/png/;;", good, 415, "Content-Type"},
		"no boundary":     {classify, "multipart/form-data", good, 415, "Content-Type"},
		"three of two":    {classify, three, threeBody, 413, "at most 2 images"},
		"an empty form":   {classify, none, noneBody, 400, "no image file"},
		"one bad of two":  {classify, second, secondBody, 415, "not a JPEG"},
		"a cut form":      {classify, "multipart/form-data; boundary=x", cutBody[:100], 400, "cannot be read"},
		"a field":         {classify, "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"top\"\r\n\r\n3\r\n--x--\r\n"), 400, `field "top" is not a file`},
		"top of nothing":  {classify + "?top=0", "image/png", good, 400, "top=0"},
		"top of a word":   {classify + "?top=all", "image/png", good, 400, "top=all"},
		"another address": {r.url + "/classify", "image/png", good, 404, "/v1/classify"},
		"a read only one": {r.url + "/v1/model", "image/png", good, 405, "takes GET, not POST"},
	} {
		a, err := post(c.url, c.kind, bytes.NewReader(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := a.refusal(c.code, c.says); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "one bad of two" && !strings.Contains(a.body, `"file":"b.png"`) {
			t.Errorf("%s does not name the file: %s", name, a.body)
		}
		if a, err := post(classify, "image/png", bytes.NewReader(good)); err != nil || a.code != 200 {
			t.Errorf("after %s: %+v, %v", name, a, err)
		}
	}
	if a, err := get(classify); err != nil || a.refusal(405, "takes POST, not GET") != nil || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %+v, %v", a, err)
	}
}

// TestOddImages: odd ones that are sound are answered.
func TestOddImages(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t)})
	for _, name := range []string{"pixel.jpg", "cmyk.jpg", "grey16.png", "grey_alpha8.png", "rgba8.png", "palette_transparent.png",
		"lossy_alpha.webp", "moving.gif", "palette.bmp", "orientation_6.jpg", "grey1.png"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "decode", name))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := post(r.url+"/v1/classify", "image/png", bytes.NewReader(b)); err != nil || a.code != 200 || !strings.Contains(a.body, `"red"`) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// TestSlowUploads: clients that dribble are cut off with 408 after the time
// for uploads, in header and body; others are served meanwhile, and an upload
// in time may be answered after it.
func TestSlowUploads(t *testing.T) {
	const limit = 500 * time.Millisecond
	r := start(t, serve.Config{Model: brightness(t), Upload: limit})
	address := strings.TrimPrefix(r.url, "http://")
	good := picture(t, 9, 5, color.NRGBA{200, 10, 20, 255})
	results := make(chan error, 2)
	dribble := func(head string, want string) {
		results <- func() error {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second)) // the server has to end it
			if _, err := io.WriteString(c, head); err != nil {
				return err
			}
			ended := make(chan struct{})
			defer close(ended)
			go func() { // a byte now and then
				for {
					select {
					case <-ended:
						return
					case <-time.After(limit / 10):
						c.Write([]byte("x"))
					}
				}
			}()
			b, err := io.ReadAll(c)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				return err
			}
			if !strings.Contains(string(b), want) {
				return fmt.Errorf("answered %q; want %q", b, want)
			}
			return nil
		}()
	}
	go dribble("POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n", "408 Request Timeout")
	go dribble("POST /v1/classify HTTP/1.1\r\nHost: x\r\nX-Slow: ", "")
	for i := 0; i < 2; {
		select {
		case err := <-results:
			if err != nil {
				t.Error(err)
			}
			i++
		default:
			if a, err := post(r.url+"/v1/classify", "image/png", bytes.NewReader(good)); err != nil || a.code != 200 {
				t.Fatalf("beside a slow upload: %+v, %v", a, err)
			}
		}
	}
}

// TestNotHTTP: noise on the port does no harm.
func TestNotHTTP(t *testing.T) {
	r := start(t, serve.Config{Model: brightness(t)})
	address := strings.TrimPrefix(r.url, "http://")
	for _, noise := range []string{"\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", "POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 1<<16) + "\r\n\r\n"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, noise)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%q: %s", noise[:10], resp.Status)
			}
			resp.Body.Close()
		}
		c.Close()
	}
	if a, err := get(r.url + "/healthz"); err != nil || a.code != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}
