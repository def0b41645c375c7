package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/safetensors"
	"github.com/ortrain/ortrain/runtime/weights"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// WeightsConfig names a network of the zoo and the file that holds its
// weights.
type WeightsConfig struct {
	// File is a PyTorch state dict, safetensors, an ONNX model whose tensors
	// bear the network's names, or a run folder.
	File    string
	Model   string
	Options map[string]string
	// Input is C, H, W of an image.
	Input [3]int
	// Info becomes the metadata of the model; its InputSize is Input.
	Info runtime.ModelInfo
}

// readWeights reads the named tensors of a file or of a run.
func readWeights(path string) ([]*weights.Tensor, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if st.IsDir() {
		if err := checkRun(path); err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		m, err := artifact.ReadManifest(filepath.Join(path, ArtifactsDir, artifact.ManifestFile))
		if err != nil {
			return nil, err
		}
		state, err := savedWeights(path, "", m)
		if err != nil {
			return nil, err
		}
		return named(m, state), nil
	}
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		return readInitializers(path)
	}
	return weights.Read(path)
}

// readInitializers takes the float tensors of an ONNX model as weights.
func readInitializers(path string) ([]*weights.Tensor, error) {
	model, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var ts []*weights.Tensor
	for _, t := range model.GetGraph().GetInitializer() {
		values, err := onnx.FloatData(t, filepath.Dir(path))
		if errors.Is(err, onnx.ErrNotFloat) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		shape := make([]int, len(t.GetDims()))
		for i, d := range t.GetDims() {
			shape[i] = int(d)
		}
		ts = append(ts, weights.Float32(t.GetName(), shape, values))
	}
	if len(ts) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no float initializers", path, weights.ErrFormat)
	}
	return ts, nil
}

// named cuts a state into the tensors that it is made of.
func named(m *artifact.Manifest, s *artifact.State) []*weights.Tensor {
	var ts []*weights.Tensor
	cut := func(vector []float32, infos []artifact.TensorInfo) {
		for _, t := range infos {
			ts = append(ts, weights.Float32(t.Name, t.Shape, vector[t.Offset:t.Offset+t.Size]))
		}
	}
	cut(s.Params, m.Parameters)
	cut(s.Stats, m.Statistics)
	return ts
}

// load lays out the network, as large as the file's head says, and fills it.
func (c WeightsConfig) load() (*artifact.Manifest, *artifact.State, error) {
	model, ok := models.Lookup(c.Model)
	if !ok {
		return nil, nil, fmt.Errorf("unknown model %q%s", c.Model, nearest.Hint(c.Model, models.Names()))
	}
	tensors, err := readWeights(c.File)
	if err != nil {
		return nil, nil, err
	}
	spec := artifact.Spec{Model: c.Model, Optimizer: "sgd", Batch: 1,
		Config: models.Config{Input: c.Input, Options: c.Options}}
	if spec.Config.Classes, err = classesOf(model, spec.Config, tensors); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.File, err)
	}
	m, err := spec.Manifest()
	if err != nil {
		return nil, nil, err
	}
	state := m.InitialState()
	if r := weights.Fill(m, state, tensors); !r.Complete() || len(r.Unexpected) > 0 {
		return nil, nil, fmt.Errorf("%s does not fit %s%s: %s", c.File, c.Model, optionList(c.Options), r)
	}
	return m, state, nil
}

// optionList writes options in brackets.
func optionList(options map[string]string) string {
	var list []string
	for k, v := range options {
		list = append(list, k+" "+v)
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return " (" + strings.Join(list, ", ") + ")"
}

// classesOf finds how many classes the head in a file has: the tensors that
// change with the number of classes are the head's.
func classesOf(model *models.Model, c models.Config, tensors []*weights.Tensor) (int, error) {
	c.Classes = 2
	two, err := model.Resolve(c)
	if err != nil {
		return 0, err
	}
	three := two
	three.Classes = 3
	a, b := model.Layout(two, 1).Params, model.Layout(three, 1).Params
	wanted := map[string]bool{}
	for _, t := range a {
		wanted[t.Name] = true
	}
	prefix := weights.Prefix(tensors, wanted)
	for i := range a {
		for d := range a[i].Shape {
			if a[i].Shape[d] == b[i].Shape[d] {
				continue
			}
			for _, t := range tensors {
				if t.Name == prefix+a[i].Name && len(t.Shape) == len(a[i].Shape) {
					return t.Shape[d], nil
				}
			}
			return 0, fmt.Errorf("it has no tensor %q, the head of %s: is it of another network?", a[i].Name, model.Name)
		}
	}
	return 0, fmt.Errorf("%s has no head that depends on the number of classes", model.Name)
}

// model is the network with its weights as a deployment model.
func (c WeightsConfig) model() ([]byte, error) {
	m, state, err := c.load()
	if err != nil {
		return nil, err
	}
	c.Info.InputSize = c.Input
	if n := len(c.Info.ClassNames); n != 0 && n != m.Model.Classes {
		return nil, fmt.Errorf("%s is of %d classes, the data set has %d", c.File, m.Model.Classes, n)
	}
	model, err := m.InferModel(state.Params, state.Stats, c.Info.Metadata())
	if err != nil {
		return nil, err
	}
	return artifact.Encode(model)
}

// ExportWeights writes a network of the zoo with the weights of a file: as an
// ONNX model, or as named tensors if out ends in .safetensors.
func ExportWeights(c WeightsConfig, out string) error {
	if isSafetensors(out) {
		m, state, err := c.load()
		if err != nil {
			return err
		}
		return writeTensors(out, m, state)
	}
	b, err := c.model()
	if err != nil {
		return err
	}
	return atomicfile.Write(out, b)
}

func isSafetensors(path string) bool { return strings.EqualFold(filepath.Ext(path), ".safetensors") }

// writeTensors writes a state as named tensors, which PyTorch and others load.
func writeTensors(out string, m *artifact.Manifest, s *artifact.State) error {
	f := safetensors.File{Metadata: map[string]string{"format": "pt", "model": m.Model.Name, "producer": m.Producer}}
	for _, t := range named(m, s) {
		f.Tensors = append(f.Tensors, safetensors.Float32(t.Name, t.Shape, t.Float32s()))
	}
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		return err
	}
	return atomicfile.Write(out, b.Bytes())
}

// startFrom fills the initial state of a run from the weights that its recipe
// names. Only the head may be left as it was, unless partial allows more.
func startFrom(m *artifact.Manifest, state *artifact.State, path string, partial bool) (*weights.Report, error) {
	tensors, err := readWeights(path)
	if err != nil {
		return nil, err
	}
	r := weights.Fill(m, state, tensors)
	if r.Matched == 0 {
		return nil, fmt.Errorf("%s does not fit %s: %s", path, m.Model.Name, r)
	}
	if partial {
		return r, nil
	}
	ok := len(r.Missing) == 0
	for _, x := range r.Mismatched {
		ok = ok && headOnly(x, m.Model.Classes)
	}
	if !ok {
		return nil, fmt.Errorf("%s does not fit %s: %s; set model.partial to start from it nevertheless", path, m.Model.Name, r)
	}
	return r, nil
}

// headOnly reports whether a tensor differs in the number of classes alone.
func headOnly(x weights.Mismatch, classes int) bool {
	if len(x.Have) != len(x.Want) {
		return false
	}
	differ := 0
	for i := range x.Have {
		if x.Have[i] != x.Want[i] {
			differ++
			if x.Want[i] != classes {
				return false
			}
		}
	}
	return differ == 1
}
