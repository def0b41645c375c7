package calibrate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// flatten is a model that hands its input of c×side×side on as its logits.
func flatten(t *testing.T, c, h, w int64) *onnx.ModelProto {
	t.Helper()
	return modelOf(t, ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats(artifact.Images, -1, c, h, w)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats(artifact.Logits, -1, c*h*w)},
		Nodes:   []*onnx.NodeProto{ortest.Node("Flatten", []string{artifact.Images}, []string{artifact.Logits})},
	})
}

func modelOf(t *testing.T, g ortest.Graph) *onnx.ModelProto {
	t.Helper()
	m, err := onnx.Unmarshal(g.Bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPreprocess: the pixels that the graph makes are those of the loader's own
// resampling, which is Pillow's, or one level beside them where ONNX Runtime
// rounds a scale differently.
func TestPreprocess(t *testing.T) {
	ortest.Open(t)
	mean, std := []float32{0.5, 0.4, 0.3}, []float32{0.2, 0.25, 0.5}
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		w, h, toW, toH, resize int
		filter                 string
		pil                    pil.Filter
		levels                 float64 // allowed difference
	}{
		{64, 48, 32, 32, 0, deploy.Bilinear, pil.Bilinear, 0},
		{64, 48, 32, 32, 0, "", pil.Bilinear, 0},
		{61, 97, 24, 32, 0, deploy.Bicubic, pil.Bicubic, 0},
		{32, 32, 32, 32, 0, deploy.Bilinear, pil.Bilinear, 0},
		{21, 19, 32, 32, 0, deploy.Bilinear, pil.Bilinear, 1}, // grows
		{300, 1, 8, 8, 0, deploy.Bilinear, pil.Bilinear, 1},
		{1, 1, 8, 8, 0, deploy.Bicubic, pil.Bicubic, 1},
		{97, 61, 28, 28, 32, deploy.Bilinear, pil.Bilinear, 1},
		{80, 121, 31, 28, 32, deploy.Bicubic, pil.Bicubic, 0},
	} {
		t.Run(fmt.Sprintf("%d×%d to %d×%d by %d %s", c.w, c.h, c.toW, c.toH, c.resize, c.filter), func(t *testing.T) {
			m, err := deploy.Preprocess(flatten(t, 3, int64(c.toH), int64(c.toW)),
				deploy.Preprocessing{Mean: mean, Std: std, Resize: c.resize, Filter: c.filter})
			if err != nil {
				t.Fatal(err)
			}
			const n = 2
			pix := make([]uint8, n*c.w*c.h*3)
			for i := range pix {
				pix[i] = uint8(r.IntN(256))
			}
			x, err := runtime.WrapBytes(pix, n, int64(c.h), int64(c.w), 3)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			got := run(t, m, x)[artifact.Logits]
			worst := 0.0
			for k := range n {
				src := pil.Image{W: c.w, H: c.h, C: 3, Pix: pix[k*c.w*c.h*3:][:c.w*c.h*3]}
				want := fitted(src, c.toW, c.toH, c.resize, c.pil)
				for i := range c.toW * c.toH {
					for ch := range 3 {
						v := float64(got[((k*3+ch)*c.toH*c.toW)+i])
						level := (v*float64(std[ch]) + float64(mean[ch])) * 255
						worst = math.Max(worst, math.Abs(level-float64(want.Pix[i*3+ch])))
					}
				}
			}
			if worst > c.levels+1e-3 {
				t.Errorf("pixels differ by up to %.4g of 255 levels", worst)
			}
		})
	}
}

// fitted brings an image to a size in plain words: torchvision's Resize and
// CenterCrop, or the largest middle window scaled.
func fitted(src pil.Image, w, h, resize int, f pil.Filter) pil.Image {
	var r pil.Resizer
	image := func(w, h int) pil.Image { return pil.Image{W: w, H: h, C: 3, Pix: make([]uint8, w*h*3)} }
	out := image(w, h)
	if resize == 0 {
		cw, ch := src.W, src.H
		if cw*h > ch*w {
			cw = max(1, ch*w/h)
		} else {
			ch = max(1, cw*h/w)
		}
		r.Resize(out, src, pil.Crop{X: (src.W - cw) / 2, Y: (src.H - ch) / 2, W: cw, H: ch}, f)
		return out
	}
	short := min(src.W, src.H)
	mid := image(src.W*resize/short, src.H*resize/short)
	r.Resize(mid, src, pil.Crop{W: src.W, H: src.H}, f)
	left, top := int(math.RoundToEven(float64(mid.W-w)/2)), int(math.RoundToEven(float64(mid.H-h)/2))
	for y := range h {
		copy(out.Pix[y*w*3:(y+1)*w*3], mid.Pix[((top+y)*mid.W+left)*3:])
	}
	return out
}

// TestHeads: softmax and the best classes are those of the logits.
func TestHeads(t *testing.T) {
	ortest.Open(t)
	m := flatten(t, 1, 2, 2)
	x := ortest.Tensor(t, []float32{1, 3, 2, 0, -1, -1, 5, -2}, 2, 1, 2, 2)
	soft, err := deploy.Softmax(m)
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, soft, x)[deploy.Probabilities]
	want := []float32{0.08714432, 0.6439143, 0.23688282, 0.032058604, 0.0024642881, 0.0024642881, 0.9941649, 0.00090656}
	if apart(p, want) > 1e-5 {
		t.Errorf("probabilities are %v, want %v", p, want)
	}
	for name, from := range map[string]*onnx.ModelProto{"logits": m, "probabilities": soft} {
		top, err := deploy.TopK(from, 2)
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, top, x)
		if c := out[deploy.TopClasses]; fmt.Sprint(c) != "[1 2 2 0]" {
			t.Errorf("%s: the best classes are %v", name, c)
		}
		scores := []float32{3, 2, 5, -1}
		if name == "probabilities" {
			scores = []float32{want[1], want[2], want[6], want[4]}
		}
		if apart(out[deploy.TopScores], scores) > 1e-5 {
			t.Errorf("%s: scores %v, want %v", name, out[deploy.TopScores], scores)
		}
	}
	for _, k := range []int{0, -1, 5} {
		if _, err := deploy.TopK(m, k); err == nil {
			t.Errorf("the best %d of 4 classes are accepted", k)
		}
	}
}
