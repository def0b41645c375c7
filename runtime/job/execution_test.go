package job

import (
	"testing"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// Teachers run where the network runs, on its device and by its options, unless
// the recipe says where else.
func TestTeachersFollowTheNetwork(t *testing.T) {
	device := runtime.CUDA{Device: 2, NoTF32: true, Fallback: true}
	for _, c := range []struct {
		settings []string
		want     runtime.Options
	}{
		{nil, runtime.Options{Provider: "cpu"}},
		{[]string{"threads=3"}, runtime.Options{Provider: "cpu", Threads: 3}},
		{[]string{"threads=3", "teacher.threads=2"}, runtime.Options{Provider: "cpu", Threads: 2}},
		{[]string{"provider=cuda", "cuda.device=2", "cuda.tf32=false", "cuda.fallback=cpu"}, runtime.Options{Provider: "cuda", CUDA: device}},
		{[]string{"teacher.provider=cuda", "cuda.device=2", "cuda.tf32=false", "cuda.fallback=cpu"}, runtime.Options{Provider: "cuda", CUDA: device}},
		{[]string{"provider=cuda", "teacher.provider=cpu"}, runtime.Options{Provider: "cpu"}},
	} {
		r := recipe.Default()
		for _, s := range append(c.settings, "teacher.models=[a.onnx, b.onnx]") {
			if err := r.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		if got := teacherSessions(r); !sameOptions(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.settings, got, c.want)
		}
	}
}

func sameOptions(a, b runtime.Options) bool {
	return a.Provider == b.Provider && a.Threads == b.Threads && a.CUDA == b.CUDA
}

// Evaluation takes the images in the recipe's form, except that a run whose
// average teaches gives it those of the step.
func TestEvaluatorTakesTheForm(t *testing.T) {
	ortest.Open(t)
	const side = 8
	size := pixel.Size{C: 3, H: side, W: side}
	held, err := data.NewMemory(size, []string{"a", "b"}, make([]uint8, size.Elements()), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	spec := artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 2, Input: [3]int{3, side, side}}, Optimizer: "sgd", Batch: 2}
	dir := ortest.Artifacts(t, spec)
	for _, c := range []struct {
		settings   []string
		step, want bool
	}{
		{nil, false, false},
		{[]string{"data.images=auto"}, false, false},
		{[]string{"data.images=float32"}, false, false},
		{[]string{"data.images=uint8"}, true, true},
		{[]string{"data.images=uint8"}, false, true},
		{[]string{"data.images=uint8", "average=ema", "teacher.self=true"}, true, true},
		{[]string{"data.images=uint8", "average=ema", "teacher.self=true"}, false, false},
	} {
		r := recipe.Default()
		for _, s := range append(c.settings, "data.mean=[0.5,0.5,0.5]", "data.std=[0.2,0.2,0.2]") {
			if err := r.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		if r, err = r.Resolve(); err != nil {
			t.Fatal(err)
		}
		tr := &run{recipe: r, held: data.Whole(held)}
		if c.step {
			tr.spec.Pixels = &artifact.Pixels{Scale: []float32{1, 1, 1}, Shift: []float32{0, 0, 0}}
		}
		if err := tr.openEvaluator(dir); err != nil {
			t.Fatal(err)
		}
		if got := tr.evaluator.TakesBytes(); got != c.want {
			t.Errorf("%v, bytes for the step %v: bytes for the evaluation %v", c.settings, c.step, got)
		}
		tr.evaluator.Close()
	}
}
