package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image/color"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/runtime/serve"
)

// onVirtualDevice prepares the command as a process that runs models by ONNX
// Runtime's CUDA provider, on the device in software of tools/virtualgpu. Where
// that is not set up, the test is skipped.
func onVirtualDevice(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	script, err := filepath.Abs("../../tools/virtualgpu/virtualgpu.sh")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(script), "../../.cache/virtualgpu/device/libcudart.so.12")); err != nil {
		t.Skip("no virtual device; tools/virtualgpu/virtualgpu.sh setup makes one")
	}
	cmd := process(t, append(args, "--provider", "cuda")...)
	cmd.Path, cmd.Args = script, append([]string{script, "run"}, cmd.Args...)
	return cmd
}

// TestEvalOnVirtualDevice: a device finds what the CPU finds, of a run whose
// images it normalises and of an exported file; a device that is not there is named.
func TestEvalOnVirtualDevice(t *testing.T) {
	ortest.Open(t)
	data, run, model := bars(t), filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "model.onnx")
	must(t, trainArgs(data, run, "--epochs", "1", "--set", "data.images=uint8")...)
	must(t, "export", "--run", run, "--out", model)
	for _, args := range [][]string{
		{"eval", "--run", run, "--limit", "20", "--batch", "16", "--json"}, // the last batch is of 4
		{"eval", "--onnx", model, "--data", "mnist", "--data-dir", data, "--limit", "20", "--batch", "16", "--json"},
	} {
		var want, got job.EvalResult
		decode(t, must(t, args...).out, &want)
		out, err := onVirtualDevice(t, append(args, "--cuda", "tf32=false")...).Output()
		if err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
		decode(t, string(out), &got)
		if got.Images != 20 || got.Top1 != want.Top1 || math.Abs(got.Loss-want.Loss) > 1e-5*want.Loss {
			t.Errorf("%v: %+v, on the CPU %+v", args, got, want)
		}
	}
	var said bytes.Buffer
	cmd := onVirtualDevice(t, "predict", "--onnx", model, picture(t, 3), "--device", "7")
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || said.String() != "ortrain: cuda.device: there is no device 7; there is 0 (virtual device)\n" {
		t.Errorf("%v: %s", err, &said)
	}
}

// TestServeOnVirtualDevice: a server on a device answers, and the first Ctrl-C
// ends it in order, though the provider brings signal handlers of its own.
func TestServeOnVirtualDevice(t *testing.T) {
	ortest.Open(t)
	cmd := onVirtualDevice(t, "serve", "--onnx", brightest(t, whole), "--listen", "127.0.0.1:0", "--log", "off", "--batch", "2")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	lines.Scan()
	m := regexp.MustCompile(`^serving .*brightest\.onnx \(3 classes\) at (http://\S*)$`).FindStringSubmatch(lines.Text())
	if m == nil {
		t.Fatalf("it says %q", lines.Text())
	}
	resp, err := http.Post(m[1]+"?top=1", "image/png", bytes.NewReader(encoded(t, solid(30, 20, color.NRGBA{10, 200, 30, 255}))))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	var got serve.Result
	if err != nil || json.Unmarshal(b, &got) != nil || len(got.Classes) != 1 || got.Classes[0].Name != "green" {
		t.Errorf("answered %q, %v", b, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	if err := cmd.Wait(); err != nil || !slices.Equal(rest, []string{"stopped; 1 request answered"}) {
		t.Errorf("it ends with %v and %q", err, rest)
	}
}
