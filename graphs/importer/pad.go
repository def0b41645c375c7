package importer

import "github.com/ortrain/ortrain/graphs/ir"

func init() { translate(pad, "Pad") }

// pad surrounds by zeros, or by the pixels at the edge, or cuts where an amount
// is negative.
func pad(w *walker) {
	x := w.tensor(0)
	mode := w.text("mode")
	border := borders[mode]
	if border == nil && mode != "" && mode != "constant" {
		w.fail("padding by %s has no gradient here", mode)
	}
	fill := float64(w.float("value", 0))
	if w.has(2) {
		fill = w.number(2)
	}
	if fill != 0 && border == nil {
		w.fail("padding by %g, not 0, has no gradient here", fill)
	}
	pads, ok := w.list("pads", 1)
	rank := len(x.Shape)
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	if w.has(3) {
		axes = w.known(3).ints()
	}
	if !ok || len(pads) != 2*len(axes) || rank > ir.MaxRank {
		w.fail("amounts %v do not fit a value of shape %v", pads, x.Shape)
	}
	var op ir.Pad
	any := false
	for i, a := range axes {
		a = w.axis(a, rank)
		before, after := pads[i], pads[i+len(axes)]
		if before < 0 || after < 0 {
			start, size := max(0, -before), x.Shape[a]-max(0, -before)-max(0, -after)
			if size < 1 {
				w.fail("amounts %v leave nothing of a value of shape %v", pads, x.Shape)
			}
			x = w.cut(x, a, start, 1, size)
		}
		before, after = max(0, before), max(0, after)
		if before+after > maxDim {
			w.fail("amounts %v are too large for a value of shape %v", pads, x.Shape)
		}
		if before+after == 0 {
			continue
		}
		if border != nil {
			d := x.Shape[a]
			index := make([]int, before+d+after)
			for j := range index {
				k := border(j-before, d)
				if k < 0 || k >= d {
					w.fail("amounts %v are too large for a value of shape %v", pads, x.Shape)
				}
				index[j] = k
			}
			x = w.gathered(x, a, index)
			continue
		}
		op.Before[a], op.After[a], any = before, after, true
	}
	if any {
		x = w.one(op, x)
	}
	w.set(0, x)
}

// borders tell which of d elements stands at position i, which may lie outside.
var borders = map[string]func(i, d int) int{
	"reflect": func(i, d int) int {
		switch {
		case i < 0:
			return -i
		case i >= d:
			return 2*(d-1) - i
		}
		return i
	},
	"edge": func(i, d int) int { return min(max(i, 0), d-1) },
	"wrap": func(i, d int) int { return ((i % d) + d) % d },
}
