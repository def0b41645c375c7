package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
)

// TestMain lets the test binary stand for the command: tests that need a
// process of its own (signals) run it again with asCommand set.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		limit(os.Getenv(asLimited))
		main()
		return
	}
	os.Exit(m.Run())
}

const (
	asCommand = "ORTRAIN_TEST_AS_COMMAND"
	asLimited = "ORTRAIN_TEST_LIMIT"
)

// limit bounds what the process may take: "fsize=BYTES" the size of a file,
// "as=BYTES" its memory.
func limit(text string) {
	if text == "" {
		return
	}
	name, value, _ := strings.Cut(text, "=")
	n, err := strconv.ParseUint(value, 10, 64)
	resource, ok := map[string]int{"fsize": syscall.RLIMIT_FSIZE, "as": syscall.RLIMIT_AS}[name]
	if err == nil && ok {
		err = syscall.Setrlimit(resource, &syscall.Rlimit{Cur: n, Max: n})
	}
	if err != nil || !ok {
		panic(fmt.Sprint("the limit ", text, ": ", err))
	}
}

// outcome is what a command line did.
type outcome struct {
	code     int
	out, err string
}

// ortrain runs a command line in this process.
func ortrain(t *testing.T, args ...string) outcome {
	t.Helper()
	return ortrainContext(t.Context(), args...)
}

func ortrainContext(ctx context.Context, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(ctx, append([]string{"ortrain"}, args...), &stream{Writer: &out}, &stream{Writer: &err})
	return outcome{code, out.String(), err.String()}
}

// must fails the test unless the command succeeds.
func must(t *testing.T, args ...string) outcome {
	t.Helper()
	o := ortrain(t, args...)
	if o.code != 0 {
		t.Fatalf("ortrain %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o
}

// process prepares the command as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// The made-up digits: class k is a bright bar at its own place, on noise.
const (
	side        = 28
	trainImages = 256
	testImages  = 100
)

func bar(class int, r *rand.Rand) []byte {
	pix := make([]byte, side*side)
	for i := range pix {
		pix[i] = byte(r.IntN(60))
	}
	for y := 2 + 5*(class/2); y < 6+5*(class/2); y++ {
		for x := 2 + 13*(class%2); x < 13+13*(class%2); x++ {
			pix[y*side+x] = byte(200 + r.IntN(56))
		}
	}
	return pix
}

// idx encodes an IDX file of bytes.
func idx(dims []int, data []byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, data...)
}

// bars writes a data set in the files of MNIST and returns its folder.
func bars(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	for _, part := range []struct {
		name string
		n    int
	}{{"train", trainImages}, {"t10k", testImages}} {
		var pix, labels []byte
		for i := range part.n {
			class := (i*7 + i/10) % 10
			pix = append(pix, bar(class, r)...)
			labels = append(labels, byte(class))
		}
		write(t, filepath.Join(dir, part.name+"-images-idx3-ubyte"), idx([]int{part.n, side, side}, pix))
		write(t, filepath.Join(dir, part.name+"-labels-idx1-ubyte"), idx([]int{part.n}, labels))
	}
	return dir
}

// picture writes an image of a class as a PNG file.
func picture(t *testing.T, class int) string {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i, v := range bar(class, rand.New(rand.NewPCG(3, 4))) {
		img.SetGray(i%side, i/side, color.Gray{Y: v})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bar.png")
	write(t, path, b.Bytes())
	return path
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// snapshot maps every file below a folder to its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path] = string(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// trainArgs are the flags of a run on the made-up digits, in seconds.
func trainArgs(data, out string, more ...string) []string {
	return append([]string{"train", "--data", "mnist", "--data-dir", data, "--model", "resnet8",
		"--epochs", "2", "--batch", "16", "--lr", "0.05", "--seed", "3", "--out", out}, more...)
}

// metrics reads a run's metrics, the names first.
func metrics(t *testing.T, dir string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(read(t, dir, job.MetricsFile))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
