package runtime

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The metadata properties of an exported model beside those of a ModelInfo.
// Every value is text; lists and groups are JSON.
const (
	MetaModel           = "model"            // the network, such as resnet20
	MetaModelOptions    = "model_options"    // its options, a JSON object of texts
	MetaDataset         = "dataset"          // what it was trained on
	MetaRecipeHash      = "recipe_hash"      // SHA-256 of the recipe, hexadecimal
	MetaSourceRun       = "source_run"       // the run folder it was exported from
	MetaMetrics         = "metrics"          // JSON object of numbers
	MetaLicense         = "license"          // of the weights, as its maker says
	MetaProducerVersion = "producer_version" // the program that wrote the file
	MetaPrecision       = "precision"        // float32, float16, float16-weights or int8
	MetaLayout          = "layout"           // of the input: NCHW or NHWC
	MetaOutput          = "output"           // what the outputs hold
	MetaTopK            = "top_k"            // how many classes top_scores has
	MetaPreprocessing   = "preprocessing"    // "graph" if the input is raw pixels
	MetaResize          = "resize"           // see ModelInfo.Resize
	MetaInterpolation   = "interpolation"    // bilinear or bicubic, Pillow's filters of the name, antialiased
	MetaQuantisation    = "quantisation"     // how int8 was made, in words
)

// What a classifier's outputs hold (MetaOutput).
const (
	OutputLogits        = "logits"
	OutputProbabilities = "probabilities"
)

// Provenance is where a model comes from and how it was made.
type Provenance struct {
	Model        string
	ModelOptions map[string]string
	Dataset      string
	RecipeHash   string
	SourceRun    string
	License      string
	// ProducerVersion is the writer, such as "ortrain 1.2".
	ProducerVersion string
	Precision       string
	Quantisation    string
	// Metrics are figures by name: test_top1, test_top5 and test_loss of this
	// file if it was measured (of the run otherwise), test_images, epochs, and
	// float32_top1 beside them for a reduced precision.
	Metrics map[string]float64
}

// Metadata encodes what is known as metadata properties of an ONNX file.
func (p Provenance) Metadata() map[string]string {
	m := map[string]string{}
	for key, v := range map[string]string{
		MetaModel: p.Model, MetaDataset: p.Dataset, MetaRecipeHash: p.RecipeHash, MetaSourceRun: p.SourceRun,
		MetaLicense: p.License, MetaProducerVersion: p.ProducerVersion, MetaPrecision: p.Precision, MetaQuantisation: p.Quantisation,
	} {
		if v != "" {
			m[key] = v
		}
	}
	put := func(key string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // finite numbers and texts always encode
		}
		m[key] = string(b)
	}
	if len(p.Metrics) > 0 {
		put(MetaMetrics, p.Metrics)
	}
	if len(p.ModelOptions) > 0 {
		put(MetaModelOptions, p.ModelOptions)
	}
	return m
}

// ParseProvenance decodes metadata properties. Properties that are absent are
// left empty; one that is malformed is an error that names it.
func ParseProvenance(metadata map[string]string) (Provenance, error) {
	p := Provenance{
		Model: metadata[MetaModel], Dataset: metadata[MetaDataset], RecipeHash: metadata[MetaRecipeHash],
		SourceRun: metadata[MetaSourceRun], License: metadata[MetaLicense], ProducerVersion: metadata[MetaProducerVersion],
		Precision: metadata[MetaPrecision], Quantisation: metadata[MetaQuantisation],
	}
	for key, into := range map[string]any{MetaMetrics: &p.Metrics, MetaModelOptions: &p.ModelOptions} {
		if text, ok := metadata[key]; ok {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return Provenance{}, fmt.Errorf("model metadata %s: %q is not the JSON object it should be", key, text)
			}
		}
	}
	return p, nil
}

// resize reads MetaResize.
func resize(metadata map[string]string) (int, error) {
	text, ok := metadata[MetaResize]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("model metadata %s: %q is not a number of pixels", MetaResize, text)
	}
	return n, nil
}
