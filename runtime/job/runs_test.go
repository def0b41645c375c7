package job

import (
	"bytes"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// fakeRun lays out a run of three epochs as training would, with the given
// accuracies of those that are complete.
func fakeRun(t *testing.T, dir string, position string, accuracies []float64, changes ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := recipe.Default()
	for _, c := range append([]string{"model.name=resnet8", "epochs=3"}, changes...) {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	r, err := r.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, RecipeFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if accuracies == nil {
		return
	}
	var rows []metrics.Epoch
	for i, a := range accuracies {
		rows = append(rows, metrics.Epoch{Epoch: i + 1, Step: int64(10 * (i + 1)), TrainLoss: 2 - a, TestLoss: 2.1 - a, TestAccuracy: a, ImagesPerSecond: 100 * float64(i+1), Seconds: 5})
	}
	if err := os.WriteFile(filepath.Join(dir, MetricsFile), metrics.Encode(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 2, Input: [3]int{1, 8, 8}}, Optimizer: "sgd", Batch: 1}.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	c := &runtime.Checkpoint{Epoch: len(rows), Step: int64(10 * len(rows)), State: m.InitialState(), Schedule: position}
	if err := runtime.WriteCheckpoint(filepath.Join(dir, CheckpointFile), m, c); err != nil {
		t.Fatal(err)
	}
}

func TestRuns(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	fakeRun(t, at("a"), "", []float64{0.2, 0.5, 0.4}, "seed=1")
	fakeRun(t, at("b"), "", []float64{0.3}, "schedule.lr=0.5")
	fakeRun(t, at("deep", "er", "c"), `{"stopped":true}`, []float64{0.1, 0.6}, "optimizer.name=adamw", "target={label_smoothing: {epsilon: 0.1}}")
	fakeRun(t, at("new"), "", nil)
	fakeRun(t, at("cut"), "", []float64{0.3, 0.4, 0.45})
	whole, err := os.ReadFile(at("cut", CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	fakeRun(t, at("text"), "", []float64{0.3})
	for path, text := range map[string][]byte{
		at("cut", CheckpointFile): whole[:len(whole)/2], at("text", MetricsFile): []byte("hello\n"), at("odd", RecipeFile): []byte("batch: [\n"),
		at("photos", "cats", "1.jpg"): nil, at("notes.txt"): nil, at(".hidden", RecipeFile): nil,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, at("photos", "round")); err != nil {
		t.Fatal(err)
	}
	lock, err := runlock.Take(at("new"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()

	list, err := Runs(RunsConfig{Dir: dir, Sort: "best", Out: at("all.png")})
	if err != nil {
		t.Fatal(err)
	}
	var names, states []string
	of := map[string]RunSummary{}
	for _, r := range list.Runs {
		names, states = append(names, r.Name), append(states, r.State)
		of[r.Name] = r
	}
	if want := []string{"deep/er/c", "a", "cut", "b", "new", "text", "odd", "photos"}; !reflect.DeepEqual(names, want) {
		t.Errorf("runs %v, want %v", names, want)
	}
	if want := []string{RunFinished, RunFinished, RunDamaged, RunStopped, RunRunning, RunDamaged, RunDamaged, NoRun}; !reflect.DeepEqual(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	if a := of["a"]; *a.Best != 0.5 || a.BestEpoch != 2 || *a.Last != 0.4 || *a.TrainLoss != 1.6 || *a.ImagesPerSecond != 200 || a.Seconds != 15 || a.Epochs != 3 || a.Planned != 3 || a.Seed != 1 || len(a.Differs) != 0 {
		t.Errorf("%+v", a)
	}
	for name, want := range map[string]map[string]string{
		"b":         {"schedule.lr": "0.5"},
		"deep/er/c": {"optimizer.name": "adamw", "optimizer.weight_decay": "0.01", "target.label_smoothing.epsilon": "0.1", "target.label_smoothing.form": "pytorch"},
	} {
		if got := of[name].Differs; !reflect.DeepEqual(got, want) {
			t.Errorf("%s differs in %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]string{"cut": "cut short", "text": "not a metrics file", "odd": "not valid YAML", "photos": "holds no run"} {
		if p := of[name].Problem; !strings.Contains(p, want) || strings.Contains(p, "\n") {
			t.Errorf("%s: problem %q, want %s", name, p, want)
		}
	}
	picture, err := os.ReadFile(list.Picture)
	if err != nil || list.Drawn != 4 {
		t.Fatalf("%d runs drawn: %v", list.Drawn, err)
	}
	if img, err := png.Decode(bytes.NewReader(picture)); err != nil || img.Bounds().Dx() != 1800 {
		t.Errorf("picture: %v", err)
	}

	for _, order := range RunOrders() {
		if _, err := Runs(RunsConfig{Dir: dir, Sort: order}); err != nil {
			t.Errorf("sorted by %s: %v", order, err)
		}
	}
	if one, err := Runs(RunsConfig{Dir: at("a")}); err != nil || len(one.Runs) != 1 || one.Runs[0].Name != "a" {
		t.Errorf("a run itself: %+v, %v", one, err)
	}
	for want, c := range map[string]RunsConfig{
		`sorted by "bets"`: {Dir: dir, Sort: "bets"},
		"no runs below":    {Dir: at("photos", "cats")},
		"cannot list runs": {Dir: at("nowhere")},
	} {
		if _, err := Runs(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
	if list, err := Runs(RunsConfig{Dir: dir, Out: at("notes.txt", "x.png")}); list == nil || err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a picture that cannot be written: list %v, error %v", list != nil, err)
	}
}
