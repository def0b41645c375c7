package reference

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Conv", func(op ir.Op, in, out []Tensor) {
		conv(op.(ir.Conv).ConvAttr, in[0], in[1], out[0])
		if len(in) == 3 {
			plane := out[0].Shape[2] * out[0].Shape[3]
			for i := range out[0].Data {
				out[0].Data[i] += in[2].Data[i/plane%out[0].Shape[1]]
			}
		}
	})
	Register("ConvGradInput", func(op ir.Op, in, out []Tensor) {
		convGradInput(op.(ir.ConvGradInput).ConvAttr, in[0], in[1], out[0])
	})
	Register("ConvGradWeight", func(op ir.Op, in, out []Tensor) {
		convGradWeight(op.(ir.ConvGradWeight).ConvAttr, in[0], in[1], out[0])
	})
}

// conv is the definition: each output is the sum over the window of the
// products that fall inside the input.
func conv(a ir.ConvAttr, x, w, y Tensor) {
	height, width := x.Shape[2], x.Shape[3]
	perGroup := w.Shape[0] / a.Groups
	for n := range y.Shape[0] {
		for o := range y.Shape[1] {
			first := o / perGroup * w.Shape[1]
			for oi := range y.Shape[2] {
				for oj := range y.Shape[3] {
					sum := 0.0
					for ki := range w.Shape[2] {
						i := oi*a.Stride[0] - a.Pad[0] + ki*a.Dilation[0]
						if i < 0 || i >= height {
							continue
						}
						for kj := range w.Shape[3] {
							j := oj*a.Stride[1] - a.Pad[1] + kj*a.Dilation[1]
							if j < 0 || j >= width {
								continue
							}
							for c := range w.Shape[1] {
								sum += x.Data[x.at4(n, first+c, i, j)] * w.Data[w.at4(o, c, ki, kj)]
							}
						}
					}
					y.Data[y.at4(n, o, oi, oj)] = sum
				}
			}
		}
	}
}

// convGradInput gathers: the pixel (i, j) of channel c was multiplied by tap
// (ki, kj) in the one window that starts at row i + pad − ki·dilation, if a
// window starts there.
func convGradInput(a ir.ConvAttr, dy, w, dx Tensor) {
	perGroup, channels := w.Shape[0]/a.Groups, w.Shape[1]
	for n := range dx.Shape[0] {
		for c := range dx.Shape[1] {
			group := c / channels
			for i := range dx.Shape[2] {
				for j := range dx.Shape[3] {
					sum := 0.0
					for ki := range w.Shape[2] {
						oi, ok := window(i+a.Pad[0]-ki*a.Dilation[0], a.Stride[0], dy.Shape[2])
						if !ok {
							continue
						}
						for kj := range w.Shape[3] {
							oj, ok := window(j+a.Pad[1]-kj*a.Dilation[1], a.Stride[1], dy.Shape[3])
							if !ok {
								continue
							}
							for o := group * perGroup; o < (group+1)*perGroup; o++ {
								sum += dy.Data[dy.at4(n, o, oi, oj)] * w.Data[w.at4(o, c-group*channels, ki, kj)]
							}
						}
					}
					dx.Data[dx.at4(n, c, i, j)] = sum
				}
			}
		}
	}
}

// window finds which of count windows, a stride apart, starts at a position.
func window(start, stride, count int) (int, bool) {
	if start < 0 || start%stride != 0 || start/stride >= count {
		return 0, false
	}
	return start / stride, true
}

// convGradWeight sums, for each tap, dy times the pixel that the tap saw.
func convGradWeight(a ir.ConvAttr, dy, x, dw Tensor) {
	height, width := x.Shape[2], x.Shape[3]
	perGroup := dw.Shape[0] / a.Groups
	for o := range dw.Shape[0] {
		first := o / perGroup * dw.Shape[1]
		for c := range dw.Shape[1] {
			for ki := range dw.Shape[2] {
				for kj := range dw.Shape[3] {
					sum := 0.0
					for n := range dy.Shape[0] {
						for oi := range dy.Shape[2] {
							i := oi*a.Stride[0] - a.Pad[0] + ki*a.Dilation[0]
							if i < 0 || i >= height {
								continue
							}
							for oj := range dy.Shape[3] {
								j := oj*a.Stride[1] - a.Pad[1] + kj*a.Dilation[1]
								if j < 0 || j >= width {
									continue
								}
								sum += dy.Data[dy.at4(n, o, oi, oj)] * x.Data[x.at4(n, first+c, i, j)]
							}
						}
					}
					dw.Data[dw.at4(o, c, ki, kj)] = sum
				}
			}
		}
	}
}
