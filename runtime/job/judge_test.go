package job

import (
	"strings"
	"testing"
)

// TestJudge: a form that lost more than is allowed warns, or is refused.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		before, after, allowed float64
		refuse                 bool
		warns, fails           bool
	}{
		{0.90, 0.895, 0.01, false, false, false},
		{0.90, 0.885, 0.01, false, true, false},
		{0.90, 0.885, 0.02, true, false, false},
		{0.90, 0.885, 0.01, true, false, true},
		{0.90, 0.10, -1, false, false, false},
		{0.90, 0.95, 0.01, true, false, false},
	} {
		x := &exporter{ExportConfig: ExportConfig{Out: "m.onnx", Precision: Int8, MaxDrop: c.allowed, Refuse: c.refuse},
			result: &ExportResult{Measured: []Measured{{Form: Float32, Top1: c.before}, {Form: Int8, Top1: c.after}}}}
		err := x.judge()
		if (err != nil) != c.fails || (len(x.result.Warnings) > 0) != c.warns {
			t.Errorf("%+v: error %v, warnings %q", c, err, x.result.Warnings)
		}
		for _, line := range append(x.result.Warnings, errorText(err)) {
			if line != "" && !strings.Contains(line, "int8 lost 1.50 points of top-1 accuracy (from 90.00 % to 88.50 %), more than the 1.00 that are allowed") {
				t.Errorf("%+v: said %q", c, line)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
