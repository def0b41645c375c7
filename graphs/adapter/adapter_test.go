package adapter

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// What the graphs compute is tested where they run, by the teachers of package
// runtime; here is what Convert writes and refuses.

func images(c, h, w int) Images {
	i := Images{C: c, H: h, W: w, Type: onnx.TensorProto_FLOAT}
	for range c {
		i.Mean, i.Std = append(i.Mean, 0.5), append(i.Std, 0.25)
	}
	return i
}

func ops(t *testing.T, from, to Images) string {
	t.Helper()
	m, err := Convert(from, to)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range m.GetGraph().GetNode() {
		names = append(names, n.GetOpType())
	}
	return strings.Join(names, " ")
}

// TestConvert: only what differs is converted.
func TestConvert(t *testing.T) {
	from := images(3, 8, 8)
	last, half, shifted := from, from, from
	last.NHWC, half.Type = true, onnx.TensorProto_FLOAT16
	shifted.Mean = []float64{0, 0, 0}
	pixels := Images{C: 3, H: 8, W: 8, Type: onnx.TensorProto_UINT8, NHWC: true}
	for _, c := range []struct {
		from, to Images
		want     string
	}{
		{from, from, "Identity"},
		{from, last, "Transpose"},
		{from, half, "Cast"},
		{from, shifted, "Add"},
		{from, images(3, 16, 4), "Resize"},
		{images(1, 8, 8), images(3, 8, 8), "Expand"},
		{from, pixels, "Mul Add Round Clip Transpose Cast"},
	} {
		if got := ops(t, c.from, c.to); got != c.want {
			t.Errorf("%+v to %+v: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	short := images(3, 8, 8)
	short.Std = short.Std[:1]
	last := images(3, 8, 8)
	last.NHWC = true
	for _, c := range []struct {
		from, to Images
		want     string
	}{
		{images(3, 8, 8), images(1, 8, 8), "3 channels cannot be given to a model of 1"},
		{images(3, 8, 8), short, "a std of 1 channels"},
		{last, images(3, 8, 8), "float images N×C×H×W only"},
	} {
		if _, err := Convert(c.from, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v to %+v: %v, want %q", c.from, c.to, err, c.want)
		}
	}
}
