package runtime

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/ortrain/ortrain/graphs/adapter"
)

// TeacherSpec says what a teacher's file does not, or says wrongly. The zero
// value of every field but File means what the file says.
type TeacherSpec struct {
	// File is an ONNX classifier.
	File string
	// Size is the height and width of its images.
	Size [2]int
	// Layout is "nchw" or "nhwc".
	Layout string
	// Mean and Std normalise its images, per channel.
	Mean, Std []float64
	// Classes names its outputs in order; ClassOrder has for each class of the
	// student the number of the output.
	Classes    []string
	ClassOrder []int
	// Output names the output to take, if there are several.
	Output string
	// Values is "logits" or "probabilities".
	Values string
}

// Student is what a teacher has to fit: the images that it is given, and the
// classes that it is asked about.
type Student struct {
	// Image is C, H, W; Mean and Std are the images' normalisation.
	Image     [3]int
	Mean, Std []float64
	Classes   []string
}

// Teacher is a finished classifier, of anyone's making, that answers for the
// student's images with logits of the student's classes. It serves one
// goroutine at a time.
type Teacher struct {
	model         *Session
	adapter, tail *Session // nil where nothing has to be changed

	given, taken  adapter.Images // the student's images, the model's
	input, output Port
	classes       int   // of the model
	order         []int // for each class of the student, the model's output; nil if they are the same
	batch         int   // that the model is fixed to, or 0
	probabilities bool

	padded  []float32
	buffers map[int]*teacherBuffers // by the number of images
}

// NewTeacher loads a teacher and checks that it fits the student, by running
// it on a few images. Errors name the file; what neither it nor the spec says
// gives an UndeclaredError.
func NewTeacher(spec TeacherSpec, student Student, o Options) (*Teacher, error) {
	model, err := NewSession(spec.File, o)
	if err != nil {
		return nil, fmt.Errorf("teacher %w", err)
	}
	t := &Teacher{model: model, buffers: map[int]*teacherBuffers{}}
	if err := t.prepare(spec, student, o); err != nil {
		t.Close()
		return nil, fmt.Errorf("teacher %s: %w", spec.File, err)
	}
	return t, nil
}

// Probabilities tells whether the model gives probabilities, whose logarithm
// is taken.
func (t *Teacher) Probabilities() bool { return t.probabilities }

// String describes the model: "a.onnx: images 3×224×224, 1000 classes".
func (t *Teacher) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: images %d×%d×%d", t.model.name, t.taken.C, t.taken.H, t.taken.W)
	if t.taken.NHWC {
		s.WriteString(" (channels last)")
	}
	fmt.Fprintf(&s, ", %d classes", t.classes)
	if t.probabilities {
		s.WriteString(" as probabilities")
	}
	return s.String()
}

// mostValues bounds the pixels that a model of a free batch is given at once.
const mostValues = 32 * 3 * 224 * 224

// Logits answers for n images, given as n×C×H×W in the student's
// normalisation, with n×K logits of the student's classes. When ctx is done it
// ends early, with ctx's error.
func (t *Teacher) Logits(ctx context.Context, dst, images []float32, n int) error {
	k := t.classes
	if t.order != nil {
		k = len(t.order)
	}
	if n < 1 || len(dst) != n*k || len(images) != n*t.pixels() {
		return fmt.Errorf("%s: %d values and room for %d logits given for %d images", t.model.name, len(images), len(dst), n)
	}
	rows := dst
	if t.order != nil {
		rows = make([]float32, n*t.classes)
	}
	if err := t.raw(ctx, rows, images, n); err != nil {
		return err
	}
	if t.probabilities {
		floor := 1e-30
		if t.output.Type == Float16 {
			floor = 1e-8
		}
		for i, p := range rows {
			rows[i] = float32(math.Log(max(float64(p), floor)))
		}
	}
	if t.order != nil {
		for i := range n {
			for j, o := range t.order {
				dst[i*k+j] = rows[i*t.classes+o]
			}
		}
	}
	return nil
}

// raw fills rows with the model's own answers, n×classes.
func (t *Teacher) raw(ctx context.Context, rows, images []float32, n int) error {
	size, chunk := t.pixels(), t.batch
	if chunk == 0 {
		chunk = min(n, max(1, mostValues/(t.taken.C*t.taken.H*t.taken.W)))
	}
	for at := 0; at < n; at += chunk {
		m := min(chunk, n-at)
		part := images[at*size : (at+m)*size]
		run := m
		// A device plans anew for every other number of images.
		if (t.batch > 0 || t.model.device) && m < chunk {
			if t.padded == nil {
				t.padded = aligned(chunk * size)
			}
			clear(t.padded[copy(t.padded, part):])
			part, run = t.padded, chunk
		}
		b := t.buffers[run]
		if b == nil {
			if len(t.buffers) > 3 { // sizes change seldom
				t.forget()
			}
			var err error
			if b, err = t.newBuffers(run, true); err != nil {
				return err
			}
			t.buffers[run] = b
		}
		if err := t.forward(ctx, b, part); err != nil {
			return err
		}
		copy(rows[at*t.classes:(at+m)*t.classes], b.rows)
	}
	for i, v := range rows {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("the teacher %s answers %v for image %d of the batch", t.model.name, v, i/t.classes)
		}
	}
	return nil
}

func (t *Teacher) forget() {
	for n, b := range t.buffers {
		b.destroy()
		delete(t.buffers, n)
	}
}

// Close frees the sessions. Closing twice is harmless.
func (t *Teacher) Close() error {
	t.forget()
	t.adapter.Close()
	t.tail.Close()
	return t.model.Close()
}
