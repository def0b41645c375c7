package runtime

import (
	"encoding/json"
	"fmt"
)

// The metadata properties that carry a ModelInfo inside an ONNX file. Lists
// are JSON arrays, so that any reader can parse them.
const (
	MetaClassNames = "class_names"
	MetaMean       = "mean"
	MetaStd        = "std"
	MetaInputSize  = "input_size"
)

// ModelInfo is what a classifier's user must know beside the graph: how to
// make its input from pixels, and what its outputs mean.
type ModelInfo struct {
	// ClassNames has one name for each logit; nil if unknown.
	ClassNames []string
	// Mean and Std normalise each channel: input = (pixel/255 − Mean) / Std.
	// Both nil if unknown.
	Mean, Std []float32
	// InputSize is C, H, W; zeros if unknown.
	InputSize [3]int
	// Resize is the length that an image's short side is scaled to before the
	// middle is cut out; 0 means that the largest window of the input's shape
	// is cut out first and scaled to the input's size.
	Resize int
	// Interpolation is the filter that images are scaled with, "bilinear" or
	// "bicubic", stretched when an image shrinks; empty if unknown.
	Interpolation string
	// Output says what the output holds: OutputLogits (also the meaning of "")
	// or OutputProbabilities.
	Output string
}

// Over returns what i says, completed by base where i says nothing.
func (i ModelInfo) Over(base ModelInfo) ModelInfo {
	if i.ClassNames == nil {
		i.ClassNames = base.ClassNames
	}
	if i.Mean == nil && i.Std == nil {
		i.Mean, i.Std = base.Mean, base.Std
	}
	if i.InputSize == [3]int{} {
		i.InputSize = base.InputSize
	}
	if i.Resize == 0 {
		i.Resize = base.Resize
	}
	if i.Interpolation == "" {
		i.Interpolation = base.Interpolation
	}
	if i.Output == "" {
		i.Output = base.Output
	}
	return i
}

// UndeclaredError reports what a model's user must know and neither the file
// nor the caller says.
type UndeclaredError struct {
	// Keys are the metadata properties that would say it.
	Keys []string
	// Problem is the error in words.
	Problem string
}

func (e *UndeclaredError) Error() string { return e.Problem }

// Metadata encodes what is known as metadata properties of an ONNX file.
func (i ModelInfo) Metadata() map[string]string {
	m := map[string]string{}
	put := func(key string, value any) {
		b, err := json.Marshal(value)
		if err != nil {
			panic(err) // lists of strings and finite numbers always encode
		}
		m[key] = string(b)
	}
	if i.ClassNames != nil {
		put(MetaClassNames, i.ClassNames)
	}
	if i.Mean != nil && i.Std != nil {
		put(MetaMean, i.Mean)
		put(MetaStd, i.Std)
	}
	if i.InputSize != [3]int{} {
		put(MetaInputSize, i.InputSize)
	}
	if i.Resize != 0 {
		put(MetaResize, i.Resize)
	}
	if i.Interpolation != "" {
		m[MetaInterpolation] = i.Interpolation
	}
	if i.Output != "" {
		m[MetaOutput] = i.Output
	}
	return m
}

// ParseModelInfo decodes metadata properties. Properties that are absent are
// left unknown; one that is malformed is an error that names it.
func ParseModelInfo(metadata map[string]string) (ModelInfo, error) {
	var i ModelInfo
	for key, into := range map[string]any{
		MetaClassNames: &i.ClassNames, MetaMean: &i.Mean, MetaStd: &i.Std, MetaInputSize: &i.InputSize,
	} {
		text, ok := metadata[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return ModelInfo{}, fmt.Errorf("model metadata %s: %q is not the JSON list it should be", key, text)
		}
	}
	i.Output, i.Interpolation = metadata[MetaOutput], metadata[MetaInterpolation]
	var err error
	if i.Resize, err = resize(metadata); err != nil {
		return ModelInfo{}, err
	}
	if err := i.check(); err != nil {
		return ModelInfo{}, fmt.Errorf("model metadata: %w", err)
	}
	return i, nil
}

// check reports what contradicts itself.
func (i ModelInfo) check() error {
	if len(i.Mean) != len(i.Std) {
		return fmt.Errorf("%s has %d channels and %s has %d", MetaMean, len(i.Mean), MetaStd, len(i.Std))
	}
	for _, s := range i.Std {
		if !(s > 0) {
			return fmt.Errorf("%s: %v is not positive", MetaStd, s)
		}
	}
	return nil
}
