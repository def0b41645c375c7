package job

import (
	"context"
	"fmt"

	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// CompareConfig says of which run's forms the accuracy, size and latency are
// compared. Its fields are those of ExportConfig.
type CompareConfig struct {
	Run   string
	Limit int
	Data  recipe.Data
	Execution
	Progress func(stage string, done, total int)
}

// CompareForms measures every form that a run can be exported in on the same
// held-out images, and times them in turn, so that their ratios hold whatever
// the machine's pace. The first is the network as it was trained, batch norms
// and all; the others are measured against it.
func CompareForms(ctx context.Context, c CompareConfig) ([]Measured, error) {
	run, err := openRun(c.Run, "", c.Data, c.Execution)
	if err != nil {
		return nil, err
	}
	o, err := c.Execution.open()
	if err != nil {
		return nil, err
	}
	var forms []form
	for _, f := range []struct {
		name string
		ExportConfig
	}{
		{"float32, unfolded", ExportConfig{Unfolded: true}},
		{"float32", ExportConfig{}},
		{"float16", ExportConfig{Precision: Float16}},
		{"float16-weights", ExportConfig{Precision: Float16Weights}},
		{"int8, minmax", ExportConfig{Precision: Int8, Calibration: Calibration{Method: "minmax"}}},
		{"int8, percentile:99.99", ExportConfig{Precision: Int8}},
		{"int8, entropy", ExportConfig{Precision: Int8, Calibration: Calibration{Method: "entropy"}}},
		{"int8, first and last float32", ExportConfig{Precision: Int8,
			Calibration: Calibration{QuantiseOptions: deploy.QuantiseOptions{KeepFirst: true, KeepLast: true}}}},
		{"int8, 8-bit weights", ExportConfig{Precision: Int8,
			Calibration: Calibration{QuantiseOptions: deploy.QuantiseOptions{FullRange: true}}}},
	} {
		f.Run, f.Execution, f.Progress = c.Run, c.Execution, c.Progress
		x := &exporter{ExportConfig: f.ExportConfig, run: run, result: &ExportResult{}}
		if err := x.complement(); err != nil {
			return nil, err
		}
		if err := x.build(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		forms = append(forms, form{f.name, x.form})
	}
	set, _, err := run.heldOut()
	if err != nil {
		return nil, err
	}
	if c.Limit > 0 {
		set = set.Limit(c.Limit, run.recipe.Seed)
	}
	var progress func(int)
	if c.Progress != nil {
		progress = func(done int) { c.Progress("measuring", done, set.Len()) }
	}
	return measureForms(ctx, run, forms, set, o, progress)
}
