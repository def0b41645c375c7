package deploy

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Preprocessing says how a classifier's input is made from decoded images.
type Preprocessing struct {
	// Mean and Std are the channels' normalisation: (v/255 − Mean)/Std.
	Mean, Std []float32
	// Resize is the length that the short side is scaled to before the middle
	// is cut out, as ImageNet classifiers do it (torchvision's Resize and
	// CenterCrop); 0 cuts out the largest window of the input's shape first
	// and scales that to the input's size.
	Resize int
	// Filter is Bilinear (also the meaning of "") or Bicubic.
	Filter string
}

// The filters of Preprocessing, Pillow's of the same names.
const (
	Bilinear = "bilinear"
	Bicubic  = "bicubic"
)

// Preprocess replaces the model's one input N×C×H×W by Pixels, N images of one
// size as decoded: uint8, N×height×width×C, any height and width. They are
// scaled in 8 bits with a filter that is stretched when an image shrinks, so
// that it does not alias: what Pillow's resize gives, or one level of 255 beside
// it. The middle is cut out and normalised.
func Preprocess(m *onnx.ModelProto, p Preprocessing) (*onnx.ModelProto, error) {
	e, err := begin(m)
	if err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	if err := e.raise(); err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	images := e.graph.Input
	if err := e.preprocess(p); err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	m = e.finish()
	m.Graph.ValueInfo = images // no reader could tell the size that Resize gives
	return m, nil
}

func (e *edit) preprocess(p Preprocessing) error {
	if len(e.graph.Input) != 1 {
		return fmt.Errorf("the model has %d inputs; a classifier with one is needed", len(e.graph.Input))
	}
	in := e.graph.Input[0]
	t := in.GetType().GetTensorType()
	dims := t.GetShape().GetDim()
	if t.GetElemType() != int32(onnx.TensorProto_FLOAT) || len(dims) != 4 {
		return fmt.Errorf("input %q is not a float N×C×H×W", in.GetName())
	}
	var size [3]int64
	for i := range size {
		if size[i] = dims[1+i].GetDimValue(); size[i] < 1 {
			return fmt.Errorf("input %q leaves its size open", in.GetName())
		}
	}
	c, h, w := size[0], size[1], size[2]
	if int64(len(p.Mean)) != c || int64(len(p.Std)) != c {
		return fmt.Errorf("%d means and %d deviations for %d channels", len(p.Mean), len(p.Std), c)
	}
	if p.Resize != 0 && int64(p.Resize) < max(h, w) {
		return fmt.Errorf("images scaled to %d pixels are smaller than the %d×%d that the model takes", p.Resize, h, w)
	}
	if e.taken[Pixels] {
		return fmt.Errorf("the name %q is taken in the model", Pixels)
	}
	s := &stem{e: e, mode: "linear"}
	switch p.Filter {
	case "", Bilinear:
	case Bicubic:
		s.mode = "cubic"
	default:
		return fmt.Errorf("unknown filter %q; there are %s and %s", p.Filter, Bilinear, Bicubic)
	}
	x := s.do("Transpose", "pixels_nchw", []string{Pixels}, onnx.AttrInts("perm", 0, 3, 1, 2))
	height := s.do("Shape", "height", []string{x}, onnx.AttrInt("start", 2), onnx.AttrInt("end", 3))
	width := s.do("Shape", "width", []string{x}, onnx.AttrInt("start", 3), onnx.AttrInt("end", 4))
	if p.Resize == 0 {
		cropH := s.atMost(height, s.scaled(width, h, w))
		cropW := s.atMost(width, s.scaled(height, w, h))
		x = s.middle(x, height, width, cropH, cropW, false)
		x = s.resize(x, s.ints(h, w))
	} else {
		short := s.do("Min", "short_side", []string{height, width})
		newH := s.do("Div", "new_height", []string{s.do("Mul", "scaled_height", []string{height, s.ints(int64(p.Resize))}), short})
		newW := s.do("Div", "new_width", []string{s.do("Mul", "scaled_width", []string{width, s.ints(int64(p.Resize))}), short})
		x = s.resize(x, s.do("Concat", "new_size", []string{newH, newW}, onnx.AttrInt("axis", 0)))
		x = s.middle(x, newH, newW, s.ints(h), s.ints(w), true)
	}
	x = s.do("Cast", "pixels_float", []string{x}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT)))
	scale, shift := make([]float32, c), make([]float32, c)
	for i := range scale {
		if !(p.Std[i] > 0) {
			return fmt.Errorf("the deviation of channel %d is %v; it must be above 0", i, p.Std[i])
		}
		scale[i] = float32(1 / (255 * float64(p.Std[i])))
		shift[i] = float32(-float64(p.Mean[i]) / float64(p.Std[i]))
	}
	per := []int64{1, c, 1, 1}
	x = s.do("Mul", "pixels_scaled", []string{x, e.constant(onnx.Floats("pixel_scale", per, scale))})
	// The network's first nodes read the old input's name.
	s.nodes = append(s.nodes, node("Add", []string{x, e.constant(onnx.Floats("pixel_shift", per, shift))}, []string{in.GetName()}))
	e.graph.Node = append(s.nodes, e.graph.Node...)
	pixels := onnx.TensorInfo(Pixels, onnx.TensorProto_UINT8, []int64{-1, -1, -1, c})
	for i, symbol := range []string{"N", "height", "width"} {
		pixels.Type.GetTensorType().Shape.Dim[i].Value = &onnx.TensorShapeProto_Dimension_DimParam{DimParam: symbol}
	}
	e.graph.Input = []*onnx.ValueInfoProto{pixels}
	return nil
}

// stem collects the nodes before the network.
type stem struct {
	e     *edit
	nodes []*onnx.NodeProto
	mode  string // of Resize
}

func (s *stem) do(op, name string, in []string, attrs ...*onnx.AttributeProto) string {
	out := s.e.fresh(name)
	s.nodes = append(s.nodes, node(op, in, []string{out}, attrs...))
	return out
}

func (s *stem) ints(v ...int64) string {
	return s.e.constant(onnx.Ints("stem_ints", []int64{int64(len(v))}, v))
}

// scaled returns side·num/den, rounded down, but at least 1.
func (s *stem) scaled(side string, num, den int64) string {
	if num == den {
		return side
	}
	v := s.do("Mul", "aspect", []string{side, s.ints(num)})
	v = s.do("Div", "aspect", []string{v, s.ints(den)})
	return s.do("Max", "aspect", []string{v, s.ints(1)})
}

func (s *stem) atMost(a, b string) string { return s.do("Min", "crop_side", []string{a, b}) }

// middle cuts a window out of the middle. Of an odd margin the smaller part
// comes first, or, with even, the part that is an even number: so torchvision
// cuts, since Python rounds halves to even.
func (s *stem) middle(x, height, width, h, w string, even bool) string {
	offset := func(side, crop string) string {
		margin := s.do("Sub", "margin", []string{side, crop})
		if even {
			// Half of m is rounded up where m mod 4 is 3, down where it is 1.
			three := s.do("Cast", "half", []string{
				s.do("Equal", "half", []string{s.do("Mod", "half", []string{margin, s.ints(4)}), s.ints(3)})},
				onnx.AttrInt("to", int64(onnx.TensorProto_INT64)))
			return s.do("Add", "offset", []string{s.do("Div", "offset", []string{margin, s.ints(2)}), three})
		}
		return s.do("Div", "offset", []string{margin, s.ints(2)})
	}
	join := func(name, a, b string) string {
		return s.do("Concat", name, []string{a, b}, onnx.AttrInt("axis", 0))
	}
	top, left := offset(height, h), offset(width, w)
	starts := join("crop_start", top, left)
	ends := join("crop_end", s.do("Add", "bottom", []string{top, h}), s.do("Add", "right", []string{left, w}))
	return s.do("Slice", "cropped", []string{x, starts, ends, s.ints(2, 3)})
}

// resize gives x N×C×H×W a height and width. All four sizes are named:
// ONNX Runtime, where it moves the Transpose behind the Resize, mistakes the
// sizes of some axes for those of all.
func (s *stem) resize(x, size string) string {
	rest := s.do("Shape", "batch_channels", []string{x}, onnx.AttrInt("start", 0), onnx.AttrInt("end", 2))
	size = s.do("Concat", "all_sizes", []string{rest, size}, onnx.AttrInt("axis", 0))
	return s.do("Resize", "resized", []string{x, "", "", size},
		onnx.AttrString("mode", s.mode), onnx.AttrFloat("cubic_coeff_a", -0.5),
		onnx.AttrInt("antialias", 1), onnx.AttrInt("exclude_outside", 1),
		onnx.AttrString("coordinate_transformation_mode", "half_pixel"))
}
