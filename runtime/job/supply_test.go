package job

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// mirrorTeacher answers with its image's two pixels; op is the last operator.
func mirrorTeacher(t *testing.T, op string) *runtime.Ensemble {
	t.Helper()
	ortest.Open(t)
	g := ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("x", -1, 1, 1, 2)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("y", -1, 2)},
		Nodes:   []*onnx.NodeProto{ortest.Node("Flatten", []string{"x"}, []string{"f"}), ortest.Node(op, []string{"f"}, []string{"y"})},
	}
	path := filepath.Join(t.TempDir(), "t.onnx")
	if err := os.WriteFile(path, g.Bytes(t), 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := runtime.NewTeacher(runtime.TeacherSpec{File: path, Mean: []float64{0}, Std: []float64{1}, Values: "logits"},
		runtime.Student{Image: [3]int{1, 1, 2}, Mean: []float64{0}, Std: []float64{1}, Classes: []string{"a", "b"}}, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := runtime.NewEnsemble([]*runtime.Teacher{k}, []float64{1}, true, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// pairs is a loader of images of two pixels, n of them, in shuffled batches of 2.
func pairs(t *testing.T, n, workers int, first uint8) *data.Loader {
	t.Helper()
	pix, labels := make([]uint8, 2*n), make([]int, n)
	for i := range pix {
		pix[i] = uint8(i)%200 + first
	}
	m, err := data.NewMemory(pixel.Size{W: 2, H: 1, C: 1}, []string{"a", "b"}, pix, labels)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := pixel.NewChain(pixel.Info{In: m.Size(), Mean: []float64{0}, Std: []float64{1}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := data.NewLoader(context.Background(), data.Whole(m), data.LoaderOptions{Batch: 2, Train: true, Epochs: 3, Chain: chain, Seed: 1, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// TestSupply: every batch comes in order with its own answers, which are made
// ahead of the one that is lent, but no further than there is room.
func TestSupply(t *testing.T) {
	ctx := context.Background()
	for _, workers := range []int{1, 3} {
		s := newSupply(ctx, pairs(t, 20, workers, 1), mirrorTeacher(t, "Neg"), nil, 2)
		for step := range 30 {
			l, err := s.next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if l.batch.Step != step {
				t.Fatalf("batch %d came as number %d", l.batch.Step, step)
			}
			for i, v := range l.batch.Images {
				if l.answers[i] != -v {
					t.Fatalf("step %d: answers %v to images %v", step, l.answers, l.batch.Images)
				}
			}
			if step == 5 {
				for range 200 { // the next lie ready while this one is held
					if len(s.lessons) == 1 && len(s.free) == 0 {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				if len(s.lessons) != 1 || len(s.free) != 0 {
					t.Errorf("%d lessons ready, %d buffers free", len(s.lessons), len(s.free))
				}
			}
			l.release()
		}
		if _, err := s.next(ctx); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
		s.Close()
		s.Close()
	}
}

// TestSupplyEnds: a teacher that fails ends the supply at its batch, a
// cancelled wait ends alone, and closing in the middle leaves nothing behind.
func TestSupplyEnds(t *testing.T) {
	ctx := context.Background()
	// The logarithm of 0 is infinite: some image of epoch 1 has such a pixel,
	// and which batch it is in is known.
	s := newSupply(ctx, pairs(t, 20, 2, 0), mirrorTeacher(t, "Log"), nil, 2)
	defer s.Close()
	var err error
	for range 10 {
		var l lesson
		if l, err = s.next(ctx); err != nil {
			break
		}
		if slices.Contains(l.batch.Images, 0) {
			t.Fatal("a batch without a finite answer was handed out")
		}
		l.release()
	}
	if err == nil || !strings.Contains(err.Error(), "answers -Inf") {
		t.Errorf("%v", err)
	}

	s = newSupply(ctx, pairs(t, 20, 2, 1), mirrorTeacher(t, "Neg"), nil, 2)
	l, err := s.next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for range 2 {
		if more, err := s.next(cancelled); err == nil {
			more.release()
		} else if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	s.Close()
	l.release()
}

// TestWaits: a wait is split at the moment when the batch was there.
func TestWaits(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct{ a0, a1, b0, b1, want int }{
		{0, 10, 2, 5, 3}, {0, 10, 5, 20, 5}, {5, 10, 0, 7, 2}, {0, 10, 20, 30, 0}, {0, 10, -5, 20, 10},
	} {
		if got := overlap(at(c.a0), at(c.a1), at(c.b0), at(c.b1)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
