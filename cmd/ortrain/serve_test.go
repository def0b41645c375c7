package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image/color"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/runtime/serve"
)

// TestServe: the server as a process of its own answers as predict does,
// warns of an address that others reach, logs, and ends in order on SIGTERM.
func TestServe(t *testing.T) {
	ortest.Open(t)
	model := brightest(t, whole)
	file := encoded(t, solid(30, 20, color.NRGBA{10, 200, 30, 255}))
	for listen, warns := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		cmd := process(t, "serve", "--onnx", model, "--listen", listen, "--log", "json")
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		var said strings.Builder
		next := func() string {
			if !lines.Scan() {
				t.Fatalf("it ended: %s", said.String())
			}
			said.WriteString(lines.Text() + "\n")
			return lines.Text()
		}
		line := next()
		if warns {
			if !strings.HasPrefix(line, "warning: ") || !strings.Contains(line, "other machines") {
				t.Errorf("no warning: %q", line)
			}
			line = next()
		}
		m := regexp.MustCompile(`^serving .*brightest\.onnx \(3 classes\) at http://\S*?:(\d+)/v1/classify$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("it says %q", line)
		}
		resp, err := http.Post("http://127.0.0.1:"+m[1]+"/v1/classify?top=1", "image/png", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var got serve.Result
		if err != nil || json.Unmarshal(b, &got) != nil || len(got.Classes) != 1 || got.Classes[0].Name != "green" {
			t.Errorf("answered %q, %v", b, err)
		}
		var entry struct {
			Status int
			Path   string
			Images int
		}
		if decode(t, next(), &entry); entry.Status != 200 || entry.Path != "/v1/classify" || entry.Images != 1 {
			t.Errorf("logged %+v", entry)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if line := next(); line != "stopped; 1 request answered" {
			t.Errorf("it ends with %q", line)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	}
}

// TestWeb: the page's model carries what the flags declare.
func TestWeb(t *testing.T) {
	ortest.Open(t)
	packages := filepath.Join(t.TempDir(), "node_modules", "onnxruntime-web")
	for name, content := range map[string]string{"package.json": `{"name":"onnxruntime-web","version":"1.30.0"}`,
		"dist/ort.wasm.bundle.min.mjs": "x", "dist/ort-wasm-simd-threaded.wasm": "y"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(packages, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(packages, name), []byte(content))
	}
	bare, out := brightest(t, runtime.ModelInfo{}), filepath.Join(t.TempDir(), "site")
	args := []string{"web", "--onnx", bare, "--out", out, "--ort-web", packages}
	refused(t, args, bare, "--mean", "--std")
	o := must(t, append(args, "--mean", "0,0,0", "--std", "1,1,1", "--class-names", "a,b,c")...)
	if !strings.Contains(o.out, out) || !strings.Contains(o.out, "onnxruntime-web 1.30.0") || !strings.Contains(o.err, "http.server") {
		t.Errorf("it says %q and %q", o.out, o.err)
	}
	m, err := classify.Open(filepath.Join(out, "model.onnx"), classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if names := m.Info().ClassNames; len(names) != 3 || names[2] != "c" {
		t.Errorf("the page's model names %v", names)
	}
	copied := filepath.Join(t.TempDir(), "copied")
	model := brightest(t, whole)
	must(t, "web", "--onnx", model, "--out", copied, "--ort-web", packages)
	if string(read(t, copied, "model.onnx")) != string(read(t, model)) {
		t.Error("the page's model is not the one given")
	}
	refused(t, []string{"web", "--onnx", model, "--out", packages, "--ort-web", packages}, packages, "other files")
}
