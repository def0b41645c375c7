// Package check tests the virtual CUDA device: that its cuDNN and cuBLAS compute
// what they should, whatever runs on it.
package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestLibraries compiles cuDNN's and cuBLAS's stand-ins with the tests of
// testdata, which compare them with plain loops, under the compiler's
// checks of addresses.
func TestLibraries(t *testing.T) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("needs g++")
	}
	if testing.Short() {
		t.Skip("compiles for a minute")
	}
	dir := t.TempDir()
	var sources []string
	for _, pattern := range []string{"../cudnn*.cc", "../cublas.cc", "testdata/*.cc"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no file is %s", pattern)
		}
		sources = append(sources, found...)
	}
	// Go repeats a test when a file that it read has changed, not for those of
	// its children.
	for _, pattern := range []string{"../*.h", "../c*.cc", "testdata/*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	flags := []string{"-std=c++17", "-O1", "-frounding-math", "-Wall", "-Wextra", "-fsanitize=address"}
	objects := make([]string, len(sources))
	var compiling sync.WaitGroup
	turn := make(chan struct{}, 2)
	for i, source := range sources {
		objects[i] = filepath.Join(dir, strings.ReplaceAll(source, "/", "_")+".o")
		compiling.Add(1)
		go func() {
			defer compiling.Done()
			turn <- struct{}{}
			defer func() { <-turn }()
			args := append(append([]string{}, flags...), "-c", "-o", objects[i], source)
			if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s: %v\n%s", source, err, out)
			}
		}()
	}
	compiling.Wait()
	if t.Failed() {
		return
	}
	program := filepath.Join(dir, "libraries")
	args := append([]string{"-fsanitize=address", "-pthread", "-o", program}, objects...)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n0 failures") {
		text := string(out)
		t.Fatalf("%v\n%s", err, text[max(0, len(text)-8000):])
	}
}
