package artifact_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/models"
)

func spec(model string, options map[string]string) artifact.Spec {
	return artifact.Spec{
		Model: model, Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}, Options: options},
		Optimizer: "sgd", Batch: 4, Seed: 1,
	}
}

// TestWriteReadCheck writes the artifacts of several networks and reads each
// file back with the independent reader.
func TestWriteReadCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		options map[string]string
	}{
		{"resnet8", nil},
		{"resnet20", map[string]string{"shortcut": "B"}},
		{"resnet20", map[string]string{"preact": "true", "zero_gamma": "true"}},
		{"resnet110", nil},
	} {
		dir := t.TempDir()
		s := spec(c.name, c.options)
		s.ExcludeNormAndBias = true
		set, err := artifact.Build(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Write(dir); err != nil {
			t.Fatal(err)
		}
		m, err := artifact.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if m.Hash != set.Manifest.Hash {
			t.Errorf("%s: hash changed by writing", c.name)
		}
		for _, f := range []string{artifact.StepFile, artifact.EvalFile, artifact.InferFile} {
			r, err := check.File(filepath.Join(dir, f))
			if err != nil {
				t.Fatalf("%s %v: %v", c.name, c.options, err)
			}
			t.Logf("%s %s: %d values, %d operations, depth %d", c.name, f, r.Values, r.Operations, r.Depth)
		}
	}
}

// TestParameterCounts compares with the published sizes: 0.27 M, 0.46 M,
// 0.66 M, 0.85 M, 1.7 M for ResNet-20 … 110 (He et al. 2015, table 6) and
// 41 M multiply-adds for ResNet-20.
func TestParameterCounts(t *testing.T) {
	for name, want := range map[string]int{
		"resnet20": 269722, "resnet32": 464154, "resnet44": 658586, "resnet56": 853018, "resnet110": 1727962,
	} {
		set, err := artifact.Build(spec(name, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Manifest.ParamCount(); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
		if name == "resnet20" && set.Manifest.Model.FLOPs != 40550400+640 {
			t.Errorf("resnet20 has %d multiply-adds", set.Manifest.Model.FLOPs)
		}
	}
}

func TestInitialStateDependsOnSeedAndNameOnly(t *testing.T) {
	a, err := artifact.Build(spec("resnet8", nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := artifact.Build(spec("resnet20", nil))
	if err != nil {
		t.Fatal(err)
	}
	x, y := a.Manifest.InitialState(), b.Manifest.InitialState()
	if n := 3 * 16 * 9; !equal(x.Params[:n], y.Params[:n]) {
		t.Error("conv1.weight differs between two networks of one seed")
	}
	s := spec("resnet8", nil)
	s.Seed = 2
	c, err := artifact.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	if z := c.Manifest.InitialState(); equal(x.Params[:16], z.Params[:16]) {
		t.Error("another seed gives the same weights")
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestBadSpecifications(t *testing.T) {
	for _, c := range []struct {
		change func(*artifact.Spec)
		want   string
	}{
		{func(s *artifact.Spec) { s.Model = "resnet21" }, "resnet21"},
		{func(s *artifact.Spec) { s.Optimizer = "sdg" }, "sdg"},
		{func(s *artifact.Spec) { s.Batch = 0 }, "batch"},
		{func(s *artifact.Spec) { s.Config.Classes = 1 }, "classes"},
		{func(s *artifact.Spec) { s.Config.Input = [3]int{3, 2, 2} }, "4×4"},
		{func(s *artifact.Spec) { s.Config.Options = map[string]string{"shortcut": "C"} }, "A or B"},
		{func(s *artifact.Spec) { s.Config.Options = map[string]string{"shortcuts": "A"} }, "shortcut"},
		{func(s *artifact.Spec) { s.OptimizerOptions = map[string]string{"nesterov": "1"} }, "nesterov"},
		{func(s *artifact.Spec) { s.Lowering.Provider = "tpu" }, "tpu"},
	} {
		s := spec("resnet8", nil)
		c.change(&s)
		if _, err := artifact.Build(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not name %q", err, c.want)
		}
	}
}

func TestReadRejectsChangedFiles(t *testing.T) {
	dir := t.TempDir()
	set, err := artifact.Build(spec("resnet8", nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, artifact.StepFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Read(dir); err == nil || !strings.Contains(err.Error(), "step.onnx") {
		t.Errorf("cut step.onnx: %v", err)
	}
	if _, err := artifact.Read(t.TempDir()); err == nil {
		t.Error("an empty folder was read")
	}
}

func FuzzParseManifest(f *testing.F) {
	set, err := artifact.Build(spec("resnet8", nil))
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	if err := set.Write(dir); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, artifact.ManifestFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := artifact.ParseManifest(b); err == nil {
			m.ParamCount()
		}
	})
}

// TestEveryFamilyIsSound: Write has the independent reader look at each file,
// so every operator that a network needs must be known to it.
func TestEveryFamilyIsSound(t *testing.T) {
	for _, c := range []struct {
		name    string
		options map[string]string
		size    int
	}{
		{"wrn16_4", map[string]string{"dropout": "0.3"}, 32},
		{"resnet18", nil, 32}, {"resnet18", nil, 64},
		{"resnet50", map[string]string{"variant": "C"}, 64}, {"resnet50", map[string]string{"variant": "D"}, 64},
	} {
		for _, block := range []int{0, 8, 16} {
			s := spec(c.name, c.options)
			s.Config.Input = [3]int{3, c.size, c.size}
			s.Lowering.Block = block
			set, err := artifact.Build(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := set.Write(t.TempDir()); err != nil {
				t.Errorf("%s %v, blocks of %d: %v", c.name, c.options, block, err)
			}
		}
	}
}
