package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/artifact/guide"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// ArtifactsConfig says which training graphs to write alone, without training.
type ArtifactsConfig struct {
	// Recipe says which network, update rule, loss and batch. Of its data set
	// only the classes and the size are used; no image is read.
	Recipe *recipe.Recipe
	// Classes and Input (C, H, W) are those of data that the catalogue does not
	// know; zeros mean the recipe's data set.
	Classes int
	Input   [3]int
	// Out is the folder to write.
	Out string
	// Native arranges the step for the processor of this machine, which is
	// faster and runs only where ONNX Runtime uses the same blocks. Otherwise
	// the step runs anywhere.
	Native  bool
	Library string
}

// Artifacts writes step.onnx, eval.onnx, infer.onnx and their manifest with a
// document and scripts that train with them. The manifest's defaults of the
// scalars are the recipe's values. A folder that holds a set or a run already
// is refused.
func Artifacts(c ArtifactsConfig) (*artifact.Manifest, error) {
	if c.Recipe == nil {
		return nil, errors.New("no recipe given")
	}
	if c.Out == "" {
		return nil, errors.New("no folder to write given")
	}
	if err := checkOut(c.Out, false, false); err != nil {
		return nil, err
	}
	for _, name := range []string{artifact.ManifestFile, artifact.StepFile, artifact.EvalFile, artifact.InferFile, guide.Document, guide.Python, guide.Node} {
		if exists(filepath.Join(c.Out, name)) {
			return nil, fmt.Errorf("%s holds training artifacts already (%s); give another folder", c.Out, name)
		}
	}
	r, err := c.Recipe.Resolve()
	if err != nil {
		return nil, err
	}
	if err := checkNames(r); err != nil {
		return nil, err
	}
	d, err := c.dataset(r)
	if err != nil {
		return nil, err
	}
	if c.Native {
		if err := c.native(r.Provider); err != nil {
			return nil, err
		}
	}
	if _, err := pixels(r, d.Size); err != nil {
		return nil, err
	}
	spec := Spec(r, d)
	if !c.Native {
		spec.Lowering.Block, spec.Lowering.Kernels = 0, false
	}
	set, err := artifact.Build(spec)
	if err != nil {
		return nil, err
	}
	values, err := hyper(r, set.Manifest)
	if err != nil {
		return nil, err
	}
	for i, h := range set.Manifest.Hyper {
		if v, ok := values[h.Name]; ok {
			set.Manifest.Hyper[i].Default = v
		}
		switch h.Name {
		case optimizer.LR:
			set.Manifest.Hyper[i].Default = float32(r.BaseLR())
		case artifact.GradientWeight:
			set.Manifest.Hyper[i].Default = 1 / float32(r.Parts())
		}
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make output folder %s: %w", c.Out, err)
	}
	if err := set.Write(c.Out); err != nil {
		return nil, err
	}
	return set.Manifest, guide.Write(c.Out)
}

// native makes sure of what a step in the provider's own layout needs here.
func (c ArtifactsConfig) native(provider string) error {
	if provider == lower.CUDA {
		if _, err := runtime.FindKernels(provider); err != nil {
			return fmt.Errorf("a native step for provider cuda uses its kernel library: %w", err)
		}
		return nil
	}
	// Only the open library knows the machine's blocks.
	if _, err := openLibrary(c.Library); err != nil {
		return err
	}
	if runtime.ChannelBlock() == 0 {
		return errors.New("ONNX Runtime uses no channel blocks on this machine, so that there is no native form; leave --native out")
	}
	return nil
}

// dataset stands for the images, of which only classes and size are known.
func (c ArtifactsConfig) dataset(r *recipe.Recipe) (*data.Dataset, error) {
	set := &data.Dataset{Name: r.Data.Name}
	if known, err := data.Lookup(r.Data.Name); err == nil {
		set.Classes, set.Size = known.Classes, known.Size
	}
	if c.Classes != 0 && c.Classes != len(set.Classes) {
		set.Classes = nil
		for i := range c.Classes {
			set.Classes = append(set.Classes, strconv.Itoa(i))
		}
	}
	if c.Input != [3]int{} {
		set.Size = pixel.Size{C: c.Input[0], H: c.Input[1], W: c.Input[2]}
	}
	if len(set.Classes) == 0 || set.Size.Elements() == 0 {
		return nil, fmt.Errorf("the classes and sizes of %s are known from its files only; give --classes N and --input CxHxW", r.Data.Name)
	}
	return set, nil
}
