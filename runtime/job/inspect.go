package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
)

// Inspection describes an ONNX file, a folder of training artifacts or a run
// folder. No model is executed to make it.
type Inspection struct {
	Path string `json:"path"`
	// Kind is "model", "artifacts" or "run".
	Kind string `json:"kind"`
	// Models are the ONNX files: one for a model, else those of the folder.
	Models []Model `json:"models"`
	// Manifest is that of the artifacts; nil for a single model.
	Manifest *artifact.Manifest `json:"manifest,omitempty"`
	// Run is set for a run folder.
	Run *RunState `json:"run,omitempty"`
}

// Model is what one ONNX file says of itself.
type Model struct {
	File string `json:"file"`
	// Bytes is the file's size.
	Bytes     int64            `json:"bytes"`
	Graph     string           `json:"graph"`
	Producer  string           `json:"producer"`
	IRVersion int64            `json:"ir_version"`
	Opsets    map[string]int64 `json:"opsets"`
	Inputs    []Port           `json:"inputs"`
	Outputs   []Port           `json:"outputs"`
	// Operators are the operator types, most frequent first.
	Operators []OperatorCount `json:"operators"`
	// Parameters is the number of trainable numbers, Statistics that of the
	// running means and variances, whether they are stored in the file or, as
	// in a training step, inputs of the graph.
	Parameters int `json:"parameters"`
	Statistics int `json:"statistics"`
	// Cost counts the work of one run of the graph.
	Cost Cost `json:"cost"`
	// Metadata are the model's metadata properties.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Structure is what an independent ONNX reader found; nil with a Problem
	// when it objects or does not know an operator.
	Structure *check.Report `json:"structure,omitempty"`
	Problem   string        `json:"problem,omitempty"`
}

// Own tells whether the file was written by this project.
func (m *Model) Own() bool {
	return m.Producer == artifact.Producer || strings.HasPrefix(m.Producer, artifact.Producer+" ")
}

// Port is an input or output of a graph. A dimension is a number, a symbol
// such as "N", or "?" if the model leaves it open.
type Port struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Shape []string `json:"shape"`
}

// String returns "name type [dims]".
func (p Port) String() string {
	return p.Name + " " + p.Type + " [" + strings.Join(p.Shape, "×") + "]"
}

// OperatorCount is how often an operator occurs.
type OperatorCount struct {
	Operator string `json:"operator"`
	Count    int    `json:"count"`
}

// RunState is where a run stands.
type RunState struct {
	// Epoch counts the epochs completed in the checkpoint, Step its steps.
	Epoch int   `json:"epoch"`
	Step  int64 `json:"step"`
	// BestAccuracy is the best accuracy on held-out images so far, in [0,1].
	BestAccuracy float64 `json:"best_accuracy"`
	// BestStep is the step of the epoch that reached it; 0 if none is complete.
	BestStep int64 `json:"best_step,omitempty"`
	// Checkpoints are the numbered ones, oldest first.
	Checkpoints []SavedCheckpoint `json:"checkpoints,omitempty"`
	// Last is the newest row of the metrics; nil before the first epoch ends.
	Last *metrics.Epoch `json:"-"`
	// Problem says what is wrong with the checkpoint; empty if nothing is.
	Problem string `json:"problem,omitempty"`
}

// Inspect describes the ONNX file, artifact folder or run folder at path. Its
// models are also read by an independent reader (package check). An error
// means that there is nothing to describe; flaws in what there is are Problems
// of the parts, which Err collects.
func Inspect(path string) (*Inspection, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("inspect: %s does not exist", path)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	if st.IsDir() {
		return inspectFolder(path)
	}
	switch filepath.Ext(path) {
	case ".safetensors", ".json", ".yaml":
		return nil, fmt.Errorf("inspect: %s is not a model; inspect its folder %s instead", path, filepath.Dir(path))
	}
	m, err := InspectModel(path)
	if err != nil {
		return nil, err
	}
	return &Inspection{Path: path, Kind: "model", Models: []Model{*m}}, nil
}

// Err returns the first flaw that makes a part of what was inspected unfit to
// use: a damaged checkpoint, or a model of this project's own that the
// independent reader rejects. Of other writers' models the reader does not
// know all operators, so its objections are no flaw.
func (i *Inspection) Err() error {
	for k := range i.Models {
		if m := &i.Models[k]; m.Problem != "" && m.Own() {
			return fmt.Errorf("%s: %s", m.File, m.Problem)
		}
	}
	if i.Run != nil && i.Run.Problem != "" {
		return errors.New(i.Run.Problem)
	}
	return nil
}

func inspectFolder(dir string) (*Inspection, error) {
	in := &Inspection{Path: dir, Kind: "artifacts"}
	artifacts := dir
	if exists(filepath.Join(dir, RecipeFile)) || exists(filepath.Join(dir, ArtifactsDir)) {
		in.Kind, artifacts = "run", filepath.Join(dir, ArtifactsDir)
	} else if !exists(filepath.Join(dir, artifact.ManifestFile)) {
		return nil, fmt.Errorf("inspect: %s is neither a run (no %s) nor training artifacts (no %s)", dir, RecipeFile, artifact.ManifestFile)
	}
	var err error
	if in.Manifest, err = artifact.Read(artifacts); err != nil {
		return nil, err
	}
	for _, name := range []string{artifact.StepFile, artifact.EvalFile, artifact.InferFile} {
		m, err := InspectModel(filepath.Join(artifacts, name))
		if err != nil {
			return nil, err
		}
		in.Models = append(in.Models, *m)
	}
	if in.Kind != "run" {
		return in, nil
	}
	if path := filepath.Join(dir, ModelFile); exists(path) {
		m, err := InspectModel(path)
		if err != nil {
			return nil, err
		}
		in.Models = append(in.Models, *m)
	}
	in.Run = inspectRun(dir, in.Manifest)
	return in, nil
}

func inspectRun(dir string, m *artifact.Manifest) *RunState {
	r := &RunState{}
	r.Checkpoints, _ = Checkpoints(dir) // a folder that cannot be read has none to show
	if path := filepath.Join(dir, CheckpointFile); exists(path) {
		c, err := runtime.ReadCheckpoint(path, m)
		if err != nil {
			r.Problem = err.Error()
			return r
		}
		r.Epoch, r.Step, r.BestAccuracy = c.Epoch, c.Step, c.BestAccuracy
		if p, err := readPosition(c); err == nil && p.Best != nil {
			r.BestStep = p.Best.Step
		}
	}
	if path := filepath.Join(dir, MetricsFile); exists(path) {
		rows, err := metrics.Read(path)
		if err != nil {
			r.Problem = err.Error()
		} else if len(rows) > 0 {
			r.Last = &rows[len(rows)-1]
		}
	}
	return r
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// InspectModel describes one ONNX file.
func InspectModel(path string) (*Model, error) {
	model, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	g := model.GetGraph()
	m := &Model{
		File: path, Bytes: st.Size(), Graph: g.GetName(),
		Producer:  strings.TrimSpace(model.GetProducerName() + " " + model.GetProducerVersion()),
		IRVersion: model.GetIrVersion(), Opsets: map[string]int64{}, Metadata: map[string]string{},
		Operators: countOperators(g), Cost: cost(g),
	}
	for _, o := range model.GetOpsetImport() {
		domain := o.GetDomain()
		if domain == "" {
			domain = "ai.onnx"
		}
		m.Opsets[domain] = o.GetVersion()
	}
	for _, p := range model.GetMetadataProps() {
		m.Metadata[p.GetKey()] = p.GetValue()
	}
	stored := map[string]bool{}
	for _, t := range g.GetInitializer() {
		stored[t.GetName()] = true
	}
	for _, v := range g.GetInput() {
		if !stored[v.GetName()] { // old files declare initializers as inputs
			m.Inputs = append(m.Inputs, portOf(v))
		}
	}
	for _, v := range g.GetOutput() {
		m.Outputs = append(m.Outputs, portOf(v))
	}
	m.Parameters, m.Statistics = countParameters(g)
	if m.Structure, err = check.File(path); err != nil {
		m.Problem = strings.TrimPrefix(strings.TrimPrefix(err.Error(), path+": "), "check: ")
	}
	return m, nil
}

func countOperators(g *onnx.GraphProto) []OperatorCount {
	count := map[string]int{}
	for _, n := range g.GetNode() {
		count[n.GetOpType()]++
	}
	list := make([]OperatorCount, 0, len(count))
	for op, n := range count {
		list = append(list, OperatorCount{op, n})
	}
	slices.SortFunc(list, func(a, b OperatorCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Operator, b.Operator)
	})
	return list
}

// countParameters counts the numbers of the floating initializers with at
// least one dimension (scalars are constants of formulas), those that batch
// norms read as running statistics apart, and of the integers those that are
// weights or biases in fewer bits. In a graph whose state is an input,
// the state vectors' lengths count.
func countParameters(g *onnx.GraphProto) (parameters, statistics int) {
	running := map[string]bool{}
	for _, n := range g.GetNode() {
		if in := n.GetInput(); n.GetOpType() == "BatchNormalization" && len(in) >= 5 {
			running[in[3]], running[in[4]] = true, true
		}
	}
	quantised, scales := map[string]bool{}, map[string]bool{}
	for _, n := range g.GetNode() {
		if op, in := n.GetOpType(), n.GetInput(); op == "QuantizeLinear" || op == "DequantizeLinear" {
			for i, name := range in {
				if i == 0 {
					quantised[name] = true
				} else {
					scales[name] = true
				}
			}
		}
	}
	for _, t := range g.GetInitializer() {
		name, elem := t.GetName(), onnx.TensorProto_DataType(t.GetDataType())
		switch {
		case len(t.GetDims()) == 0 || scales[name]:
		case quantised[name], elem == onnx.TensorProto_FLOAT, elem == onnx.TensorProto_FLOAT16,
			elem == onnx.TensorProto_BFLOAT16, elem == onnx.TensorProto_DOUBLE:
			if running[name] {
				statistics += int(size(t.GetDims()))
			} else {
				parameters += int(size(t.GetDims()))
			}
		}
	}
	for _, v := range g.GetInput() {
		dims, ok := staticDims(v)
		if !ok {
			continue
		}
		switch v.GetName() {
		case artifact.Params:
			parameters = int(size(dims))
		case artifact.Stats:
			statistics = int(size(dims))
		}
	}
	return parameters, statistics
}

func portOf(v *onnx.ValueInfoProto) Port {
	t := v.GetType().GetTensorType()
	p := Port{Name: v.GetName(), Shape: []string{}}
	p.Type = strings.ToLower(onnx.TensorProto_DataType(t.GetElemType()).String())
	for _, d := range t.GetShape().GetDim() {
		text := "?"
		switch x := d.GetValue().(type) {
		case *onnx.TensorShapeProto_Dimension_DimValue:
			text = fmt.Sprint(x.DimValue)
		case *onnx.TensorShapeProto_Dimension_DimParam:
			text = x.DimParam
		}
		p.Shape = append(p.Shape, text)
	}
	return p
}
