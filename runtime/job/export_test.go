package job_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/artifact/guide"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// sameGraph checks that two files hold one graph, whatever their metadata say.
func sameGraph(t *testing.T, a, b string) {
	t.Helper()
	var graphs [2]*onnx.GraphProto
	for i, path := range []string{a, b} {
		m, err := onnx.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		graphs[i] = m.GetGraph()
	}
	if !proto.Equal(graphs[0], graphs[1]) {
		t.Errorf("%s and %s hold different graphs", a, b)
	}
}

// exported trains a small run and returns its folder.
func exported(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := job.Train(t.Context(), job.Config{Recipe: mnist(t, "epochs=10"), Out: dir}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestExportForms: every form is verified against its run, and says in its
// metadata what it is.
func TestExportForms(t *testing.T) {
	ortest.Open(t)
	ctx := t.Context()
	run := exported(t)
	for name, c := range map[string]job.ExportConfig{
		"float32":       {License: "MIT"},
		"probabilities": {Softmax: true},
		"best":          {Softmax: true, TopK: 3},
		"pixels":        {Preprocess: true},
		"float16":       {Precision: job.Float16, Measure: true, Limit: 50},
		"ports":         {Precision: job.Float16, HalfPorts: true},
		"weights":       {Precision: job.Float16Weights, Softmax: true},
		"int8":          {Precision: job.Int8, Measure: true, Limit: 50, MaxDrop: -1, Preprocess: true, Calibration: job.Calibration{Images: 40}},
		"int8 part": {Precision: job.Int8, Calibration: job.Calibration{Images: 40, Method: "entropy",
			QuantiseOptions: deploy.QuantiseOptions{KeepFirst: true, KeepLast: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Run, c.Out = run, filepath.Join(t.TempDir(), "model.onnx")
			c.Card = filepath.Join(t.TempDir(), "card.md")
			r, err := job.Export(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			if c.Measure && (len(r.Measured) != 2 || r.Measured[0].Agreement != 1 || r.Measured[1].Images != 50 || len(r.Measured[1].Latency) != 2) {
				t.Errorf("measured %+v", r.Measured)
			}
			v, err := job.Verify(ctx, job.VerifyConfig{File: c.Out, Images: 64, MinAgreement: 0.9})
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Err(); err != nil || v.Images != 64 || v.Structure == nil || v.Precision != r.Precision || !(v.Largest < 0.3) {
				t.Errorf("%v: %+v", err, v)
			}
			if r.Precision != job.Float32 && v.Largest == 0 {
				t.Error("a reduced precision changed nothing")
			}
			m, err := job.InspectModel(c.Out)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{runtime.MetaClassNames, runtime.MetaMean, runtime.MetaInputSize, runtime.MetaRecipeHash, runtime.MetaSourceRun,
				runtime.MetaModel, runtime.MetaDataset, runtime.MetaMetrics, runtime.MetaProducerVersion, runtime.MetaLayout} {
				if m.Metadata[key] == "" {
					t.Errorf("no metadata %s", key)
				}
			}
			if q := m.Metadata[runtime.MetaQuantisation]; (r.Precision == job.Int8) != strings.Contains(q, "weights of 7 bits") {
				t.Errorf("metadata %s is %q", runtime.MetaQuantisation, q)
			}
			if m.Metadata[runtime.MetaLicense] != c.License || m.Metadata[runtime.MetaPrecision] != r.Precision {
				t.Errorf("metadata %v", m.Metadata)
			}
			card := string(read(t, c.Card))
			for _, want := range []string{"# resnet8 on mnist", "![", "| precision | " + r.Precision, "import ort from", "session.run", "recipe's hash", r.Inputs[0].Name} {
				if !strings.Contains(card, want) && !c.HalfPorts {
					t.Errorf("the card lacks %q", want)
				}
			}
			read(t, filepath.Dir(c.Card), "card.png")
		})
	}
}

// TestVerifyFails: a file that is not the run's is found out.
func TestVerifyFails(t *testing.T) {
	ortest.Open(t)
	ctx := t.Context()
	run, out := exported(t), filepath.Join(t.TempDir(), "model.onnx")
	if _, err := job.Export(ctx, job.ExportConfig{Run: run, Out: out}); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	change := func(name string, edit func(m *onnx.ModelProto)) string {
		other := proto.Clone(m).(*onnx.ModelProto)
		edit(other)
		b, err := onnx.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// One weight moves.
	moved := change("moved.onnx", func(m *onnx.ModelProto) {
		for _, w := range m.Graph.Initializer {
			if w.Name == "linear.bias" {
				copy(w.RawData, []byte{0, 0, 0x80, 0x3f}) // 1
			}
		}
	})
	v, err := job.Verify(ctx, job.VerifyConfig{File: moved, Images: 20})
	if err != nil || v.Err() == nil || !strings.Contains(v.Err().Error(), "differ by up to") {
		t.Errorf("a moved weight: %v, %v", err, v)
	}
	for name, c := range map[string]struct {
		edit func(m *onnx.ModelProto)
		want string
	}{
		"bare.onnx": {func(m *onnx.ModelProto) { m.MetadataProps = nil }, "--run DIR"},
		"other.onnx": {func(m *onnx.ModelProto) {
			for _, p := range m.MetadataProps {
				if p.Key == runtime.MetaRecipeHash {
					p.Value = "0"
				}
			}
		}, "another recipe"},
	} {
		if _, err := job.Verify(ctx, job.VerifyConfig{File: change(name, c.edit), Images: 20}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
	// A model without metadata is verified once its run is named.
	if v, err := job.Verify(ctx, job.VerifyConfig{File: change("bare.onnx", func(m *onnx.ModelProto) { m.MetadataProps = nil }), Run: run, Images: 20}); err != nil || v.Err() != nil {
		t.Errorf("without metadata: %v, %+v", err, v)
	}
}

// TestBadExports: what an export refuses, with nothing written or overwritten.
func TestBadExports(t *testing.T) {
	ortest.Open(t)
	run, dir := exported(t), t.TempDir()
	out := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(out, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	unfinished := filepath.Join(dir, "unfinished")
	if err := os.CopyFS(unfinished, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(unfinished, job.CheckpointFile)); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]job.ExportConfig{
		"at most 10":            {TopK: 11},
		"top-k -1":              {TopK: -1},
		`did you mean "int8"?`:  {Precision: "int88"},
		"no checkpoint":         {Run: unfinished},
		"no run at":             {Run: dir},
		"no/such: no such file": {Out: filepath.Join(dir, "no", "such")},
		"it is a folder":        {Out: dir},
		"-5 images":             {Precision: job.Int8, Calibration: job.Calibration{Images: -5}},
		`"minmx"`:               {Precision: job.Int8, Calibration: job.Calibration{Method: "minmx"}},
		"lanczos":               {Preprocess: true, Interpolation: "lanczos"},
		"smaller than":          {Preprocess: true, Resize: 20},
		"exclude preprocessing": {Precision: job.Float16, HalfPorts: true, Preprocess: true},
		"batch norms folded":    {Precision: job.Int8, Unfolded: true},
		"if that is measured":   {Precision: job.Int8, Refuse: true},
		"holds no graph":        {Out: filepath.Join(dir, "x.safetensors"), Softmax: true},
		"stat /nowhere":         {Precision: job.Int8, Data: recipe.Data{Dir: "/nowhere"}},
	} {
		if c.Run == "" {
			c.Run = run
		}
		if c.Out == "" {
			c.Out = out
		}
		_, err := job.Export(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v does not say %q in one line", c, err, want)
		}
	}
	if string(read(t, out)) != "precious" {
		t.Error("the file that was there is gone")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, ".*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestArtifactsAlone: a set for any machine, with its document, from sizes alone.
func TestArtifactsAlone(t *testing.T) {
	r := recipe.Default()
	for _, s := range []string{"model.name=resnet8", "optimizer.name=adamw", "batch=4", "accumulate=2", "schedule.lr=0.003"} {
		if err := r.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "set")
	c := job.ArtifactsConfig{Recipe: r, Classes: 7, Input: [3]int{3, 20, 24}, Out: out}
	m, err := job.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	if m.Block != 0 || m.Batch != 2 || m.Model.Classes != 7 || m.Model.Input != c.Input {
		t.Errorf("manifest %+v", m)
	}
	for _, h := range m.Hyper {
		if want := map[string]float32{"lr": 0.003, artifact.GradientWeight: 0.5}[h.Name]; want != 0 && h.Default != want {
			t.Errorf("%s is %g, want %g", h.Name, h.Default, want)
		}
	}
	if _, err := artifact.Read(out); err != nil {
		t.Error(err)
	}
	step, err := onnx.ReadFile(filepath.Join(out, artifact.StepFile))
	if err != nil {
		t.Fatal(err)
	}
	text := string(read(t, out, guide.Document))
	for _, v := range append(step.Graph.Input, step.Graph.Output...) {
		if !strings.Contains(text, "`"+v.Name+"`") {
			t.Errorf("the document lacks %s", v.Name)
		}
	}
	for _, n := range step.Graph.Node {
		if n.Domain != "" && n.Domain != "com.microsoft" {
			t.Fatalf("node %s is of domain %s, which is not portable", n.Name, n.Domain)
		}
	}
	for _, script := range []string{guide.Python, guide.Node} {
		if !strings.Contains(text, string(read(t, out, script))) {
			t.Errorf("the document does not hold %s", script)
		}
	}
	if _, err := job.Artifacts(c); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second set in the same folder: %v", err)
	}
}
