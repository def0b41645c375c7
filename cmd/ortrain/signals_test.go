package main

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestSignalWhileReadingData: a run that waits for its data, here for a file that
// nobody writes to, ends at the first signal and leaves nothing.
func TestSignalWhileReadingData(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	fifo := filepath.Join(data, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, filepath.Dir(dir))
	cmd := process(t, trainArgs(data, dir, "--train-files", "fifo,train-labels-idx1-ubyte")...)
	time.AfterFunc(time.Second, func() { cmd.Process.Signal(syscall.SIGTERM) })
	code, said := during(t, cmd, "", nil)
	if code != exitInterrupted || said != "stopped before the first checkpoint; there is nothing to continue\n" {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, said)
	}
	if len(snapshot(t, filepath.Dir(dir))) != len(before) {
		t.Error("it left files")
	}
}

// TestSecondSignal: a step of many seconds is waited for after the first signal,
// and not after the second.
func TestSecondSignal(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	cmd := process(t, trainArgs(data, dir, "--model", "wrn28_10", "--batch", "256", "--threads", "1")...)
	code, said := during(t, cmd, "ONNX Runtime ", func() {
		time.Sleep(500 * time.Millisecond)
		cmd.Process.Signal(syscall.SIGINT)
		time.Sleep(500 * time.Millisecond)
		cmd.Process.Signal(syscall.SIGTERM)
	})
	if code != exitInterrupted || !strings.HasSuffix(said, "\nortrain: quit at once\n") {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, said)
	}
}

// TestSecondSignalToServer: a server that waits for a client to end its request
// waits no more after a second signal.
func TestSecondSignalToServer(t *testing.T) {
	ortest.Open(t)
	model := brightest(t, runtime.ModelInfo{Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}})
	cmd := process(t, "serve", "--onnx", model, "--listen", "127.0.0.1:0", "--log", "off")
	address := regexp.MustCompile(`http://\S+`)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4096)
	n, _ := pipe.Read(line)
	url := address.FindString(string(line[:n]))
	body, upload := io.Pipe()
	defer upload.Close()
	go func() {
		if r, err := http.Post(url, "image/png", body); err == nil {
			r.Body.Close()
		}
	}()
	if _, err := upload.Write([]byte("\x89PNG")); err != nil { // the server has the connection
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(300 * time.Millisecond)
	cmd.Process.Signal(syscall.SIGINT)
	rest, _ := io.ReadAll(pipe)
	cmd.Wait() // its exit code is looked at next
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.HasSuffix(string(rest), "quit at once\n") {
		t.Errorf("exit code %d, want %d: %q", code, exitInterrupted, rest)
	}
}
