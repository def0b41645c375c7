package primitives

import (
	"fmt"
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestBatchNormAccuracy bounds the rounding error of batch normalisation and
// its gradient on channels whose mean is large against their deviation, down
// to constant channels, and of one, two and many elements.
//
// The variance in one pass loses (mean/deviation)² units of the last place,
// in two passes none; the affine forms of y and dγ lose mean/deviation.
func TestBatchNormAccuracy(t *testing.T) {
	ortest.Open(t)
	for _, conv := range []bool{false, true} {
		for _, s := range []ir.Shape{{8, 3, 8, 8}, {8, 3, 16, 16}, {2, 3, 1, 1}, {1, 3, 1, 1}, {64, 3, 32, 32}} {
			for _, ratio := range []float64{0, 1, 10, 100, math.Inf(1)} {
				t.Run(fmt.Sprintf("%v_ratio%g_conv%v", s, ratio, conv), func(t *testing.T) {
					checkNorm(t, s, ratio, conv)
				})
			}
		}
	}
}

// checkNorm normalises x drawn with mean 1 (0 if ratio is 0) and deviation
// 1/ratio, after a convolution that changes nothing if conv is set.
func checkNorm(t *testing.T, s ir.Shape, ratio float64, conv bool) {
	t.Helper()
	p := &patternGraph{ir.New("norm"), seeded(9), map[string]reference.Tensor{}}
	x := p.input(0, s...)
	if ratio > 0 {
		p.inputs[x.Name] = p.r.normal(1, 1/ratio, s...)
	}
	if conv {
		a := ir.Window(1, 0)
		a.Groups = s[1]
		w := p.input(0, s[1], 1, 1, 1)
		p.inputs[w.Name] = p.r.normal(1, 0, s[1], 1, 1, 1)
		x = p.One("conv", ir.Conv{ConvAttr: a}, x, w)
	}
	n := p.norm(x)
	dy := p.input(0.1, s...)
	d := p.normGrad(dy, n[0])
	names := []string{"y", "mean", "variance", "dx", "dscale", "dshift"}
	for i, v := range append(n[:3:3], d...) {
		p.Output(names[i], p.One("", ir.Binary{F: ir.Add}, v, p.Scalar(0)))
	}
	want, err := reference.Run(p.Graph, p.inputs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, p.Graph, lower.Options{Provider: "cpu"}).run(p.inputs)
	if err != nil {
		t.Fatal(err)
	}

	// Each error counts against the terms that cancel in the result, not
	// against what is left of them: a pair, for one, leaves dx nearly zero.
	scale := p.inputs[n[0].Node.In[1].Name].Data
	size := map[string]float64{"mean": 1, "y": 1}
	for _, y := range want["y"].Data {
		size["y"] = math.Max(size["y"], math.Abs(y))
	}
	steepest := 0.0
	for c := range s[1] {
		std := math.Sqrt(want["variance"].Data[c] + 1e-5)
		steepest = math.Max(steepest, math.Abs(want["mean"].Data[c])/std)
		size["variance"] = math.Max(size["variance"], std*std)
		dots := 0.0
		for i, g := range p.inputs[dy.Name].Data {
			if i/(s[2]*s[3])%s[1] != c {
				continue
			}
			size["dx"] = math.Max(size["dx"], math.Abs(scale[c]*g/std))
			dots += math.Abs(g)
		}
		size["dscale"] = math.Max(size["dscale"], dots)
		size["dshift"] = math.Max(size["dshift"], dots)
	}
	bound := 1e-6 * (1 + steepest)
	if conv {
		bound = 1e-6 * (1 + steepest*steepest)
	}
	for _, name := range names {
		worst := 0.0
		for i, w := range want[name].Data {
			e := math.Abs(got[name].Data[i] - w)
			if math.IsNaN(e) {
				e = math.Inf(1)
			}
			worst = math.Max(worst, e/size[name])
		}
		if worst > bound {
			t.Errorf("%s is %.2g away from the reference, more than %.2g", name, worst, bound)
		}
	}
}
