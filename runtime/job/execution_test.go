package job

import (
	"testing"

	"github.com/ortrain/ortrain/runtime"
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
