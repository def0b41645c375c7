package ortest

import (
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
)

// Artifacts builds an artifact set and writes it into a folder that goes with
// the test.
func Artifacts(t testing.TB, s artifact.Spec) (dir string) {
	t.Helper()
	set, err := artifact.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Trainer builds an artifact set and opens a trainer of it, which is closed with
// the test.
func Trainer(t testing.TB, s artifact.Spec, o runtime.Options) *runtime.Trainer {
	t.Helper()
	tr, err := runtime.NewTrainer(Artifacts(t, s), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}
