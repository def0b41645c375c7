package runtime_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/safetensors"
)

// small is a manifest and a checkpoint of it, without a session.
func small(t testing.TB, model, optimizer string) (*artifact.Manifest, *runtime.Checkpoint) {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: model, Config: models.Config{Classes: 3, Input: [3]int{1, 8, 8}}, Optimizer: optimizer, Batch: 1, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	m := set.Manifest
	return m, &runtime.Checkpoint{
		Epoch: 3, Batch: 17, Step: 1 << 40, Seed: 1<<64 - 1, RecipeHash: "abc", BestAccuracy: 0.1 + 0.2,
		Schedule: `{"sha256":"` + strings.Repeat("0", 64) + `"}`, // looks like the checksum, and is not
		State:    m.InitialState(), Extra: map[string][]float32{"average": {1, 2.5}},
	}
}

func written(t testing.TB, m *artifact.Manifest, c *runtime.Checkpoint) (path string, b []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), runtime.CheckpointFile)
	if err := runtime.WriteCheckpoint(path, m, c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, b
}

func TestCheckpointRoundTrip(t *testing.T) {
	m, c := small(t, "resnet8", "sgd")
	path, first := written(t, m, c)
	got, err := runtime.ReadCheckpoint(path, m)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.State, c.State) || !reflect.DeepEqual(got.Extra, c.Extra) {
		t.Error("the vectors changed")
	}
	if got.ManifestHash != m.Hash || got.Model != "resnet8" || got.Optimizer != "sgd" {
		t.Errorf("it is of %s %s %s", got.ManifestHash, got.Model, got.Optimizer)
	}
	if got.Epoch != c.Epoch || got.Batch != c.Batch || got.Step != c.Step || got.Seed != c.Seed ||
		got.RecipeHash != c.RecipeHash || got.BestAccuracy != c.BestAccuracy || got.Schedule != c.Schedule {
		t.Errorf("it came back as %+v", got)
	}
	if _, second := written(t, m, got); !bytes.Equal(first, second) {
		t.Error("the same checkpoint gave other bytes")
	}
	any, err := runtime.InspectCheckpoint(path)
	if err != nil || any.Step != c.Step || !reflect.DeepEqual(any.Slots(), []string{m.Slots[0].Name}) {
		t.Errorf("inspected %+v, %v", any, err)
	}
	// Other tools can read it.
	f, err := safetensors.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := f.Lookup("params"); !ok || p.Shape[0] != m.ParamCount() {
		t.Errorf("as safetensors it has params %v", p.Shape)
	}
}

func TestCheckpointRefused(t *testing.T) {
	m, c := small(t, "resnet8", "sgd")
	other, _ := small(t, "resnet20", "sgd")
	wide := *m
	wide.Hash = strings.Repeat("f", 64)
	_, good := written(t, m, c)
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	plain := &safetensors.File{Tensors: []safetensors.Tensor{safetensors.Float32("params", []int{1}, []float32{1})}}
	var foreign bytes.Buffer
	if err := plain.Encode(&foreign); err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) []byte {
		if len(old) != len(new) || !bytes.Contains(good, []byte(old)) {
			t.Fatalf("cannot replace %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	dir := t.TempDir()
	for name, x := range map[string]struct {
		b    []byte
		m    *artifact.Manifest
		is   error
		says string
	}{
		"cut in half":          {good[:len(good)/2], m, runtime.ErrDamaged, "cut short"},
		"cut in the header":    {good[:100], m, runtime.ErrDamaged, "cut short"},
		"last byte lost":       {good[:len(good)-1], m, runtime.ErrDamaged, "cut short"},
		"a bit in the data":    {flip(len(good) - 10), m, runtime.ErrDamaged, "checksum does not match"},
		"a digit of the epoch": {replaced(`"epoch":"3"`, `"epoch":"4"`), m, runtime.ErrDamaged, "checksum does not match"},
		"the checksum's name":  {replaced(`"sha256":"`, `"sha257":"`), m, runtime.ErrDamaged, "no checksum"},
		"a new format":         {replaced(`"ortrain_checkpoint":"1"`, `"ortrain_checkpoint":"2"`), m, runtime.ErrNotCheckpoint, `format is "2", this version reads 1`},
		"another safetensors":  {foreign.Bytes(), m, runtime.ErrNotCheckpoint, "without a training position"},
		"text":                 {[]byte("epoch,step,lr\n1,2,3\n"), m, runtime.ErrNotCheckpoint, ""},
		"empty":                {nil, m, runtime.ErrNotCheckpoint, ""},
		"another model":        {good, other, runtime.ErrOtherModel, "it is of resnet8 with sgd, this run trains resnet20 with sgd"},
		"another layout":       {good, &wide, runtime.ErrOtherModel, "resnet8 with sgd with other classes, input size or options"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, x.b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := runtime.ReadCheckpoint(path, x.m)
		if !errors.Is(err, x.is) || !strings.Contains(err.Error(), x.says) || !strings.HasPrefix(err.Error(), path+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %v saying %q", name, err, x.is, x.says)
		}
	}
	if _, err := runtime.ReadCheckpoint(filepath.Join(dir, "none"), m); err == nil || !strings.Contains(err.Error(), "no checkpoint at") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestCheckpointKeepsTheLastGoodOne(t *testing.T) {
	m, c := small(t, "resnet8", "sgd")
	path, good := written(t, m, c)
	broken := *c
	broken.State = &artifact.State{Params: make([]float32, 3)}
	if err := runtime.WriteCheckpoint(path, m, &broken); err == nil {
		t.Error("a state of the wrong size was written")
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, good) {
		t.Error("a failed write changed the file")
	}
	if err := runtime.WriteCheckpoint(filepath.Join(t.TempDir(), "no", "folder"), m, c); err == nil || !strings.HasPrefix(err.Error(), "cannot write ") {
		t.Errorf("writing into a missing folder: %v", err)
	}
}

// TestResumeIsExact trains 6 steps, and 3 and 3 with a checkpoint between,
// the second half in a trainer of its own.
func TestResumeIsExact(t *testing.T) {
	run := func(tr *runtime.Trainer, from, to int) {
		for n := from; n < to; n++ {
			step(t, tr, rand.New(rand.NewPCG(11, uint64(n))), 0.1)
		}
	}
	whole := trainer(t)
	run(whole, 0, 6)
	wholePath, want := written(t, whole.Manifest(), whole.Snapshot())

	first := trainer(t)
	run(first, 0, 3)
	path, _ := written(t, first.Manifest(), first.Snapshot())
	second := trainer(t)
	c, err := runtime.ReadCheckpoint(path, second.Manifest())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Restore(c); err != nil {
		t.Fatal(err)
	}
	if second.Steps() != 3 {
		t.Errorf("resumed at step %d", second.Steps())
	}
	run(second, 3, 6)
	if _, got := written(t, second.Manifest(), second.Snapshot()); !bytes.Equal(got, want) {
		t.Errorf("the resumed run ends with other bytes than %s", wholePath)
	}

	c.ManifestHash = "other"
	if err := second.Restore(c); !errors.Is(err, runtime.ErrOtherModel) {
		t.Errorf("restoring another model's: %v", err)
	}
}
