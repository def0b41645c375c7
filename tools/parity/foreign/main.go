// Command foreign compares imported classifiers with PyTorch: for every
// NAME.onnx in a folder with NAME.0.safetensors beside it (foreign.py makes
// them) it imports the model, differentiates it, and compares the step with
// PyTorch's in float64: the graph evaluated in float64 too, which shows whether
// it is right; and run by ONNX Runtime in float32, plain, on blocks and with the
// kernel library, two steps, with the trained model read back.
//
// Deep networks with random weights magnify rounding: PyTorch's own float32 may
// be far from its float64. So a float32 result may differ by a few times as much
// as PyTorch's does, where that is more than the tolerance; gradients that differ
// still more in float32, while they agree in float64, are marked "rounding".
//
// usage: foreign [-csv FILE] FOLDER
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/safetensors"
	"github.com/ortrain/ortrain/runtime/weights"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// tolerance is relative to the largest element of a tensor, or to a thousandth
// of the largest of all gradients where that is larger. Some gradients are zero
// but for rounding, as that of a shift that a later norm takes away: where
// PyTorch's in float64 are below zero times the largest of all, the difference
// is relative to that.
const (
	tolerance = 1e-4
	floor     = 1e-3
	zero      = 1e-9
	// slack times PyTorch's own distance in float32 is allowed.
	slack = 3
)

func main() {
	table := flag.String("csv", "", "write the figures to `FILE`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: foreign [-csv FILE] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *table); err != nil {
		fmt.Fprintln(os.Stderr, "foreign:", err)
		os.Exit(1)
	}
}

func run(folder, table string) error {
	lib, err := runtime.FindLibrary("")
	if err != nil {
		return err
	}
	if err := runtime.Open(lib); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.onnx"))
	if err != nil {
		return err
	}
	sort.Strings(paths)
	rows := [][]string{{"model", "layout", "opset", "parameters", "nodes", "loss", "logits", "gradients", "worst", "statistics", "evaluation", "pytorch_float32_logits", "pytorch_float32_gradients", "second_loss", "result", "written_by", "onnxruntime", "cpu"}}
	bad := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		model, err := onnx.ReadFile(path)
		if err != nil {
			return err
		}
		producer := model.GetProducerName() + " " + model.GetProducerVersion()
		for _, way := range ways() {
			r, err := compare(path, 0, way)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			result := "ok"
			switch {
			case err != nil:
				result = err.Error()
			case !r.within():
				result = "off"
			case r.grad > r.allowed(r.rounding.grad):
				result = "rounding"
			}
			if result != "ok" && result != "rounding" {
				bad++
			}
			rows = append(rows, append(append([]string{name, way.name}, r.columns()...), result, producer, lib.Version, runtime.CPUName()))
			fmt.Println(strings.Join(rows[len(rows)-1], "  "))
		}
	}
	if table != "" {
		if err := measure.WriteTable(table, rows); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d comparisons differ from the framework of the model", bad, len(rows)-1)
	}
	return nil
}

// figures are the largest relative differences of a model.
type figures struct {
	opset, parameters, nodes              int
	loss, logits, grad, stats, evaluation float64
	worst                                 string
	second                                float64
	// rounding holds PyTorch's own distances in float32.
	rounding struct{ logits, grad, stats float64 }
	exact    bool // computed in float64, where rounding excuses nothing
}

// way is how a step is computed: by ONNX Runtime as the options say, or in
// float64 without it.
type way struct {
	name    string
	exact   bool
	options lower.Options
}

func ways() []way {
	w := []way{{name: "float64", exact: true}, {name: "plain"}}
	if b := runtime.ChannelBlock(); b != 0 {
		w = append(w, way{name: "blocked", options: lower.Options{Block: b}})
		if _, err := runtime.FindKernels(lower.CPU); err == nil {
			w = append(w, way{name: "kernels", options: lower.Options{Block: b, Kernels: true, Threads: runtime.DefaultThreads()}})
		}
	}
	return w
}

// allowed returns how far a figure may be off where PyTorch's own is as far as
// rounding from float64.
func (f figures) allowed(rounding float64) float64 {
	if f.exact {
		return tolerance
	}
	return max(tolerance, slack*rounding)
}

// within reports whether the model agrees. Gradients must in float64; in
// float32 one activation on the other side of a rectifier's kink moves all
// gradients before it, which says nothing of the graph.
func (f figures) within() bool {
	for _, v := range [][2]float64{{f.loss, f.rounding.logits}, {f.logits, f.rounding.logits}, {f.stats, f.rounding.stats}, {f.evaluation, 0}} {
		if !(v[0] <= f.allowed(v[1])) {
			return false
		}
	}
	if f.exact && !(f.grad <= tolerance) || math.IsNaN(f.grad) || math.IsInf(f.grad, 0) {
		return false
	}
	return !math.IsNaN(f.second) && !math.IsInf(f.second, 0)
}

func (f figures) columns() []string {
	e := func(v float64) string { return fmt.Sprintf("%.1e", v) }
	return []string{fmt.Sprint(f.opset), fmt.Sprint(f.parameters), fmt.Sprint(f.nodes),
		e(f.loss), e(f.logits), e(f.grad), f.worst, e(f.stats), e(f.evaluation), e(f.rounding.logits), e(f.rounding.grad), fmt.Sprintf("%.4f", f.second)}
}

func compare(path string, batch int, w way) (f figures, err error) {
	f.exact = w.exact
	want, err := read(fmt.Sprintf("%s.%d.safetensors", strings.TrimSuffix(path, ".onnx"), batch))
	if err != nil {
		return f, err
	}
	source, err := importer.Open(path, importer.Options{})
	if err != nil {
		return f, err
	}
	f.opset, f.nodes = source.Opset(), source.Nodes()
	for name, to := range map[string]*float64{"logits": &f.rounding.logits, "grad": &f.rounding.grad, "stat": &f.rounding.stats} {
		if v, ok := want["rounding."+name]; ok {
			*to = float64(v.data[0])
		}
	}
	images, targets := want["images"], want["targets"]
	size, classes := images.shape[2], targets.shape[1]
	file, err := source.Encode()
	if err != nil {
		return f, err
	}
	cfg := models.Config{Classes: classes, Input: [3]int{3, size, size}}
	spec := artifact.Spec{
		Model: source.Name, Config: cfg, Import: &artifact.Import{Network: source.Model(), File: file},
		Optimizer: "sgd", Batch: images.shape[0], Lowering: w.options,
	}
	set, err := artifact.Build(spec)
	if err != nil {
		return f, err
	}
	if w.exact {
		return f, f.inFloat64(source, cfg, spec, set.Manifest, want)
	}
	dir, err := os.MkdirTemp("", "foreign-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return f, err
	}
	t, err := runtime.NewTrainer(dir, runtime.Options{})
	if err != nil {
		return f, err
	}
	defer t.Close()
	m, s := t.Manifest(), t.State()
	f.parameters = m.ParamCount()
	if err := start(source, cfg, m, s); err != nil {
		return f, err
	}
	if f.evaluation, err = evaluate(m, s, images, want["eval"], classes); err != nil {
		return f, err
	}
	if err := t.SetState(s); err != nil {
		return f, err
	}
	// Without momentum's past and without decay the momentum buffer is the
	// gradient.
	hyper, err := t.Hyper(map[string]float32{"lr": 1e-3, "momentum": 0.9, "weight_decay": 0})
	if err != nil {
		return f, err
	}
	r, err := t.Step(images.data, targets.data, hyper)
	if err != nil {
		return f, err
	}
	f.loss = math.Abs(float64(r.Loss)-float64(want["loss"].data[0])) / float64(want["loss"].data[0])
	f.logits = distance(r.Logits, want["logits"].data, 0)
	after := t.State()
	if err := f.gradients(m, after, want); err != nil {
		return f, err
	}
	if r, err = t.Step(images.data, targets.data, hyper); err != nil {
		return f, err
	}
	f.second = float64(r.Loss)
	return f, nil
}

// gradients compares every gradient and statistic that PyTorch has.
func (f *figures) gradients(m *artifact.Manifest, after *artifact.State, want map[string]array) error {
	least, found := 0.0, 0
	for name, w := range want {
		if strings.HasPrefix(name, "grad.") {
			least = max(least, floor*largest(w.data))
			found++
		}
	}
	if found == 0 {
		return errors.New("the file holds no gradients")
	}
	known := map[string]artifact.TensorInfo{}
	for _, t := range append(append([]artifact.TensorInfo(nil), m.Parameters...), m.Statistics...) {
		known[t.Name] = t
	}
	for name, w := range want {
		kind, key, _ := strings.Cut(name, ".")
		t, ok := known[key]
		switch {
		case kind == "grad" && !ok && largest(w.data) > least:
			return fmt.Errorf("parameter %s was not imported", key)
		case !ok:
		case kind == "grad":
			from := least
			if largest(w.data) < zero/floor*least {
				from = least / floor
			}
			d := distance(after.Slots[0][t.Offset:t.Offset+t.Size], w.data, from)
			if d >= f.grad || math.IsNaN(d) {
				f.grad, f.worst = d, key
			}
		case kind == "stat":
			f.stats = max(f.stats, distance(after.Stats[t.Offset:t.Offset+t.Size], w.data, 0))
		}
	}
	return nil
}

// start fills the state with the file's weights.
func start(source *importer.Source, cfg models.Config, m *artifact.Manifest, s *artifact.State) error {
	list, err := source.Weights(cfg)
	if err != nil {
		return err
	}
	var ts []*weights.Tensor
	for _, w := range list {
		v, err := w.Float32s()
		if err != nil {
			return err
		}
		ts = append(ts, weights.Float32(w.Name, w.Shape, v))
	}
	if r := weights.Fill(m, s, ts); !r.Complete() {
		return fmt.Errorf("the file's own weights do not fit: %s", r)
	}
	return nil
}

// evaluate runs the deployment model, written and read back, on all images and
// on the first alone.
func evaluate(m *artifact.Manifest, s *artifact.State, images, want array, classes int) (float64, error) {
	model, err := m.InferModel(s.Params, s.Stats, nil)
	if err != nil {
		return 0, err
	}
	b, err := artifact.Encode(model)
	if err != nil {
		return 0, err
	}
	k, err := runtime.NewClassifierFromBytes("infer.onnx", b, runtime.ModelInfo{}, runtime.Options{})
	if err != nil {
		return 0, err
	}
	defer k.Close()
	n := images.shape[0]
	all, err := k.Logits(images.data, n)
	if err != nil {
		return 0, err
	}
	one, err := k.Logits(images.data[:len(images.data)/n], 1)
	if err != nil {
		return 0, err
	}
	return max(distance(all, want.data, 0), distance(one, want.data[:classes], 0)), nil
}

type array struct {
	shape []int
	data  []float32
}

func read(path string) (map[string]array, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Decode(b)
	if err != nil {
		return nil, err
	}
	out := map[string]array{}
	for _, t := range f.Tensors {
		v, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		out[t.Name] = array{t.Shape, v}
	}
	return out, nil
}

func largest(v []float32) float64 {
	m := 0.0
	for _, x := range v {
		m = max(m, math.Abs(float64(x)))
	}
	return m
}

// distance is the largest difference relative to the largest element wanted.
func distance(got, want []float32, least float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	d := 0.0
	for i, w := range want {
		e := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(e) {
			return e
		}
		d = max(d, e)
	}
	return d / max(largest(want), least, 1e-30)
}
