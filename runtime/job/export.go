package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/calibrate"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// The precisions of an exported model (ExportConfig.Precision).
const (
	Float32        = "float32"
	Float16        = "float16"         // weights and computing
	Float16Weights = "float16-weights" // weights only
	Int8           = "int8"            // static quantisation
)

// Precisions lists them.
func Precisions() []string { return []string{Float32, Float16, Float16Weights, Int8} }

// ExportConfig says what to write from which run. The zero value of every
// option is a sensible default.
type ExportConfig struct {
	// Run is the run folder, Out the file to write. If Out ends in
	// .safetensors, the named tensors alone are written, and nothing of what
	// follows applies.
	Run, Out string
	// Checkpoint is which of the run's weights: nothing for the newest, "best"
	// for the epoch with the best accuracy, a number of steps, or a file.
	Checkpoint string
	// Precision is one of Precisions; empty means Float32. With HalfPorts a
	// Float16 model's input and output are float16 too.
	Precision string
	HalfPorts bool
	// Unfolded keeps batch norms on their own.
	Unfolded bool
	// Softmax and TopK put the softmax and the best classes into the graph.
	Softmax bool
	TopK    int
	// Preprocess makes the model take raw pixels; Resize and Interpolation
	// replace what the run's metadata say (see deploy.Preprocessing).
	Preprocess    bool
	Resize        int
	Interpolation string
	// Calibration says how an Int8 model's ranges are found.
	Calibration Calibration
	// Measure has the accuracy and speed of the form measured beside float32,
	// on at most Limit held-out images (0: all).
	Measure bool
	Limit   int
	// MaxDrop is the loss of top-1 accuracy, as a share of 1, from which on
	// the result warns; 0 means 0.01, below 0 never. With Refuse a model that
	// lost more is not written and Export fails.
	MaxDrop float64
	Refuse  bool
	// License is the licence of the weights, for the metadata.
	License string
	// Card, if set, is the Markdown file to write beside the model, with a
	// picture of the curves.
	Card string
	// Data says where the run's images are; empty fields as in its recipe.
	Data recipe.Data
	// Execution runs what is calibrated and measured.
	Execution
	// Progress, if set, is told what is being done and how far it is.
	Progress func(stage string, done, total int)
}

// Calibration says how the ranges of activations are found.
type Calibration struct {
	// Images is how many training images are run, unaugmented; 0 means 512.
	Images int
	// Method is one of calibrate.Methods; empty means calibrate.DefaultMethod.
	Method string
	deploy.QuantiseOptions
}

// ExportResult says what was written.
type ExportResult struct {
	File       string `json:"file"`
	Bytes      int64  `json:"bytes"`
	Precision  string `json:"precision"`
	Parameters int    `json:"parameters"`
	// Folded says what became of the batch norms; nil if they were left.
	Folded *deploy.Folded `json:"folded,omitempty"`
	// Inputs and Outputs are the model's ports.
	Inputs  []Port `json:"inputs"`
	Outputs []Port `json:"outputs"`
	// Measured are the figures of float32 and, unless it is that, of the
	// form; empty if nothing was measured. HeldOut names the images.
	Measured []Measured `json:"measured,omitempty"`
	HeldOut  string     `json:"held_out,omitempty"`
	// Warnings are lines for the person who exports.
	Warnings []string `json:"warnings,omitempty"`
	// Card and Picture are the files of the model card, if one was written.
	Card    string `json:"card,omitempty"`
	Picture string `json:"picture,omitempty"`
}

// Export writes a run's weights, the newest unless the configuration says so, as a model to deploy. Nothing is
// written unless all of it succeeds; an existing file is replaced at the end.
func Export(ctx context.Context, c ExportConfig) (*ExportResult, error) {
	x := &exporter{ExportConfig: c, result: &ExportResult{File: c.Out}}
	if err := x.check(); err != nil {
		return nil, err
	}
	var err error
	if x.run, err = openRun(c.Run, c.Checkpoint, c.Data, c.Execution); err != nil {
		return nil, err
	}
	if isSafetensors(c.Out) {
		return x.result, x.tensors()
	}
	if err := x.checkRun(); err != nil {
		return nil, err
	}
	if err := x.build(ctx); err != nil {
		return nil, err
	}
	if err := x.measure(ctx); err != nil {
		return nil, err
	}
	return x.result, x.write()
}

// tensors writes the named tensors alone.
func (x *exporter) tensors() error {
	if err := writeTensors(x.Out, x.run.manifest, x.run.state); err != nil {
		return err
	}
	st, err := os.Stat(x.Out)
	if err != nil {
		return err
	}
	x.result.Bytes, x.result.Parameters = st.Size(), x.run.manifest.ParamCount()
	return nil
}

// exporter is one export in progress.
type exporter struct {
	ExportConfig
	method calibrate.Method
	run    *savedRun
	// plain is the float32 network, form the exported one; both take images
	// and give logits, whatever comes before and after later.
	plain, form *onnx.ModelProto
	calibrated  int // images
	quantised   deploy.Quantised
	result      *ExportResult
}

// complement fills in the options that were left out.
func (x *exporter) complement() (err error) {
	if x.Precision == "" {
		x.Precision = Float32
	}
	x.result.Precision = x.Precision
	if x.MaxDrop == 0 {
		x.MaxDrop = 0.01
	}
	if x.Calibration.Images == 0 {
		x.Calibration.Images = 512
	}
	if x.Calibration.Method == "" {
		x.Calibration.Method = calibrate.DefaultMethod
	}
	x.method, err = calibrate.ParseMethod(x.Calibration.Method)
	return err
}

// check reports options that make no sense, before anything is read.
func (x *exporter) check() error {
	if err := x.complement(); err != nil {
		return err
	}
	known := false
	for _, p := range Precisions() {
		known = known || p == x.Precision
	}
	switch {
	case !known:
		return fmt.Errorf("unknown precision %q%s", x.Precision, nearest.Hint(x.Precision, Precisions()))
	case x.Out == "":
		return errors.New("no file to write given")
	case x.TopK < 0:
		return fmt.Errorf("top-k %d: give at least 1", x.TopK)
	case x.Calibration.Images < 1:
		return fmt.Errorf("calibration on %d images: there must be at least 1", x.Calibration.Images)
	case x.Unfolded && x.Precision != Float32:
		return fmt.Errorf("%s needs the batch norms folded", x.Precision)
	case x.HalfPorts && x.Precision != Float16:
		return fmt.Errorf("float16 inputs and outputs go with precision %s", Float16)
	case x.HalfPorts && (x.Preprocess || x.Softmax || x.TopK > 0):
		return errors.New("float16 inputs and outputs exclude preprocessing, softmax and top-k, which compute in float32")
	case x.Refuse && (!x.Measure || x.MaxDrop < 0):
		return errors.New("a model can only be refused for its accuracy if that is measured")
	}
	if isSafetensors(x.Out) && (x.Precision != Float32 || x.Softmax || x.TopK > 0 || x.Preprocess || x.Card != "" || x.Measure) {
		return fmt.Errorf("%s: a file of tensors holds no graph, so that precision, softmax, top-k, preprocessing, measuring and a card do not apply", x.Out)
	}
	for _, path := range []string{x.Out, x.Card} {
		if path == "" {
			continue
		}
		if err := writable(path); err != nil {
			return err
		}
	}
	return nil
}

// writable reports a file that could not be written after long work.
func writable(path string) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("cannot write %s: it is a folder; give a file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ortrain.*.tmp")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, atomicfile.Cause(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

// checkRun reports options that do not fit the run.
func (x *exporter) checkRun() error {
	if k := x.run.manifest.Model.Classes; x.TopK > k {
		return fmt.Errorf("top-k %d: the model of %s tells %d classes apart; give at most %d", x.TopK, x.Run, k, k)
	}
	if x.Interpolation != "" {
		x.run.info.Interpolation = x.Interpolation
	}
	if x.Resize != 0 {
		x.run.info.Resize = x.Resize
	}
	if x.run.info.Interpolation == "" {
		x.run.info.Interpolation = deploy.Bilinear // what the loader fits images with
	}
	if x.Preprocess && x.run.info.Mean == nil {
		return fmt.Errorf("preprocessing: %s does not say how its input is normalised", x.Run)
	}
	return nil
}

// build makes the network in its precision.
func (x *exporter) build(ctx context.Context) (err error) {
	m := x.run.manifest
	if x.plain, err = m.InferModel(x.run.state.Params, x.run.state.Stats, nil); err != nil {
		return err
	}
	if !x.Unfolded {
		var f deploy.Folded
		if x.plain, f, err = deploy.Fold(x.plain); err != nil {
			return err
		}
		x.result.Folded = &f
	}
	switch x.form = x.plain; x.Precision {
	case Float16:
		x.form, err = deploy.Float16(x.plain, false)
	case Float16Weights:
		x.form, err = deploy.HalfWeights(x.plain)
	case Int8:
		err = x.quantise(ctx)
	}
	return err
}

// calibrationBatch is the number of images of one run of calibration, in which
// all activations are kept.
const calibrationBatch = 32

func (x *exporter) quantise(ctx context.Context) error {
	o, err := x.Execution.open()
	if err != nil {
		return err
	}
	names, err := deploy.Activations(x.plain, x.Calibration.QuantiseOptions)
	if err != nil {
		return err
	}
	d, err := data.Open(data.FromRecipe(x.run.recipe))
	if err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	set := d.Train.Limit(x.Calibration.Images, x.run.recipe.Seed)
	if x.calibrated = set.Len(); x.calibrated == 0 {
		return fmt.Errorf("calibration: %s has no training images to measure on", d.Name)
	}
	feed := func(yield func([]float32, error) bool) {
		for b, err := range x.run.batches(ctx, set, calibrationBatch, x.stage("calibrating", set.Len())) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(b.Images, nil) {
				return
			}
		}
	}
	images := func() iter.Seq2[[]float32, error] { return feed }
	ranges, err := calibrate.Ranges(x.plain, names, images, x.method, o)
	if err != nil {
		return err
	}
	x.form, x.quantised, err = deploy.Quantise(x.plain, ranges, x.Calibration.QuantiseOptions)
	return err
}

// stage returns a progress function for a stage, nil if nobody listens.
func (x *exporter) stage(name string, total int) func(done int) {
	if x.Progress == nil {
		return nil
	}
	return func(done int) { x.Progress(name, done, total) }
}

// measure compares the form with float32 and looks at what was lost.
func (x *exporter) measure(ctx context.Context) error {
	if !x.Measure {
		return nil
	}
	o, err := x.Execution.open()
	if err != nil {
		return err
	}
	forms := []form{{Float32, x.plain}}
	if x.Precision != Float32 {
		forms = append(forms, form{x.Precision, x.form})
	}
	set, name, err := x.run.heldOut()
	if err != nil {
		return fmt.Errorf("measuring the accuracy: %w", err)
	}
	if x.Limit > 0 {
		set = set.Limit(x.Limit, x.run.recipe.Seed)
	}
	x.result.HeldOut = name
	if x.result.Measured, err = measureForms(ctx, x.run, forms, set, o, x.stage("measuring", set.Len())); err != nil {
		return err
	}
	return x.judge()
}

// judge warns of, or refuses, a form that lost too much.
func (x *exporter) judge() error {
	if x.MaxDrop < 0 || len(x.result.Measured) < 2 {
		return nil
	}
	before, after := x.result.Measured[0].Top1, x.result.Measured[1].Top1
	if lost := before - after; lost > x.MaxDrop {
		line := fmt.Sprintf("%s lost %.2f points of top-1 accuracy (from %.2f %% to %.2f %%), more than the %.2f that are allowed",
			x.Precision, 100*lost, 100*before, 100*after, 100*x.MaxDrop)
		if x.Precision == Int8 {
			line += "; try another calibration method, more calibration images, or keep the first and last layer in float32"
			if x.Calibration.FullRange {
				line += ", or leave the weights at 7 bits, which every processor computes right"
			}
		}
		if x.Refuse {
			return fmt.Errorf("%s: %s; it is not written", x.Out, line)
		}
		x.result.Warnings = append(x.result.Warnings, line)
	}
	return nil
}
