package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/modelcard"
)

// writeCard writes the model card of an encoded model, with the run's curves
// beside it if there are any.
func (x *exporter) writeCard(model []byte) error {
	r := x.run
	sum := sha256.Sum256(model)
	text, err := r.recipe.Marshal()
	if err != nil {
		return err
	}
	p := x.provenance()
	c := modelcard.Card{
		File: filepath.Base(x.Out), Bytes: int64(len(model)), SHA256: hex.EncodeToString(sum[:]),
		Model: p.Model, Options: p.ModelOptions, Parameters: r.manifest.ParamCount(), FLOPs: r.manifest.Model.FLOPs,
		Precision: p.Precision, Quantisation: p.Quantisation, Producer: artifact.Producer + " " + artifact.Version, License: x.License,
		Dataset: p.Dataset, Classes: r.info.ClassNames, TrainImages: r.trained(), Input: r.manifest.Model.Input,
		Mean: r.info.Mean, Std: r.info.Std, Pixels: x.Preprocess, Resize: r.info.Resize, Interpolation: r.info.Interpolation,
		HalfPorts: x.HalfPorts, Softmax: x.Softmax, TopK: x.TopK,
		HeldOut: x.result.HeldOut, Epochs: len(r.epochs), Run: r.dir, RecipeHash: r.hash, Recipe: string(text),
	}
	if x.result.Folded != nil {
		c.Norms = x.result.Folded.Norms
	}
	for _, in := range x.result.Inputs {
		c.InputName = in.Name
	}
	for _, out := range x.result.Outputs {
		c.OutputNames = append(c.OutputNames, out.Name)
	}
	for _, m := range x.result.Measured {
		row := modelcard.Row{Form: m.Form, Bytes: m.Bytes, Images: m.Images, Top1: m.Top1, Top5: m.Top5, Loss: m.Loss, Agreement: m.Agreement}
		for _, l := range m.Latency {
			row.Latency = append(row.Latency, modelcard.Latency{Batch: l.Batch, P50: l.P50, P95: l.P95})
		}
		c.Rows = append(c.Rows, row)
	}
	x.result.Card = x.Card
	if curves, err := os.ReadFile(filepath.Join(r.dir, CurvesFile)); err == nil {
		picture := strings.TrimSuffix(x.Card, filepath.Ext(x.Card)) + ".png"
		if err := atomicfile.Write(picture, curves); err != nil {
			return fmt.Errorf("model card: %w", err)
		}
		c.Curves, x.result.Picture = filepath.Base(picture), picture
	}
	return atomicfile.Write(x.Card, []byte(c.Markdown()))
}

// trained returns the number of images that the run saw in an epoch, as its
// history tells it; 0 if it has none.
func (s *savedRun) trained() int {
	n := len(s.epochs)
	if n == 0 || s.epochs[n-1].Epoch < 1 {
		return 0
	}
	last := s.epochs[n-1]
	return int(last.Step) / last.Epoch * s.recipe.Batch
}
