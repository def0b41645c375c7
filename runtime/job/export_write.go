package job

import (
	"fmt"
	"strconv"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// write completes the graph, and writes the model and its card.
func (x *exporter) write() error {
	model, err := x.complete()
	if err != nil {
		return err
	}
	x.describe(model)
	b, err := artifact.Encode(model)
	if err != nil {
		return err
	}
	x.result.Bytes = int64(len(b))
	x.result.Parameters = x.run.manifest.ParamCount()
	for _, v := range model.GetGraph().Input {
		x.result.Inputs = append(x.result.Inputs, portOf(v))
	}
	for _, v := range model.GetGraph().Output {
		x.result.Outputs = append(x.result.Outputs, portOf(v))
	}
	if err := atomicfile.Write(x.Out, b); err != nil {
		return err
	}
	if x.Card == "" {
		return nil
	}
	return x.writeCard(b)
}

// complete puts what comes before and after the network into the graph.
func (x *exporter) complete() (m *onnx.ModelProto, err error) {
	m = x.form
	if x.HalfPorts {
		return deploy.Float16(x.plain, true)
	}
	if x.Softmax {
		if m, err = deploy.Softmax(m); err != nil {
			return nil, err
		}
	}
	if x.TopK > 0 {
		if m, err = deploy.TopK(m, x.TopK); err != nil {
			return nil, err
		}
	}
	if x.Preprocess {
		m, err = deploy.Preprocess(m, deploy.Preprocessing{Mean: x.run.info.Mean, Std: x.run.info.Std,
			Resize: x.run.info.Resize, Filter: x.run.info.Interpolation})
	}
	return m, err
}

// describe writes the metadata properties.
func (x *exporter) describe(m *onnx.ModelProto) {
	meta := map[string]string{}
	info := x.run.info
	info.Output = runtime.OutputLogits
	if x.Softmax {
		info.Output = runtime.OutputProbabilities
	}
	add := func(more map[string]string) {
		for k, v := range more {
			meta[k] = v
		}
	}
	add(info.Metadata())
	add(x.provenance().Metadata())
	meta[runtime.MetaLayout] = "NCHW"
	if x.Preprocess {
		meta[runtime.MetaLayout], meta[runtime.MetaPreprocessing] = "NHWC", "graph"
	}
	if x.TopK > 0 {
		meta[runtime.MetaTopK] = strconv.Itoa(x.TopK)
	}
	m.MetadataProps = onnx.Metadata(meta)
}

// provenance collects where the model comes from.
func (x *exporter) provenance() runtime.Provenance {
	r := x.run
	p := runtime.Provenance{
		Model: r.manifest.Model.Name, ModelOptions: r.manifest.Model.Options, Dataset: r.recipe.Data.Name,
		RecipeHash: r.hash, SourceRun: r.dir, License: x.License,
		ProducerVersion: artifact.Producer + " " + artifact.Version,
		Precision:       x.Precision, Metrics: map[string]float64{},
	}
	if n := len(r.epochs); n > 0 {
		p.Metrics["epochs"] = float64(n)
		// Rows without an evaluation hold NaN, which JSON cannot.
		if v := r.epochs[n-1].TestAccuracy; v == v {
			p.Metrics["last_epoch_top1"] = v
		}
	}
	for _, m := range x.result.Measured {
		prefix := "test_"
		if m.Form != x.Precision {
			prefix = m.Form + "_"
		}
		p.Metrics[prefix+"top1"], p.Metrics[prefix+"top5"], p.Metrics[prefix+"loss"] = m.Top1, m.Top5, m.Loss
		p.Metrics["test_images"] = float64(m.Images)
	}
	if x.Precision == Int8 {
		bits := 7
		if x.Calibration.FullRange {
			bits = 8
		}
		p.Quantisation = fmt.Sprintf("static, QDQ, uint8 activations by %s over %d training images, int8 weights of %d bits per channel, %d layers in int8, %d in float32",
			x.method.Name, x.calibrated, bits, x.quantised.Weighted, x.quantised.Float)
	}
	return p
}
