package importer

import "github.com/ortrain/ortrain/graphs/onnx"

// attr returns an attribute of the node, or nil.
func (w *walker) attr(name string) *onnx.AttributeProto {
	for _, a := range w.node.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func (w *walker) int(name string, usual int) int {
	if a := w.attr(name); a != nil {
		return w.bounded(a.GetI())
	}
	return usual
}

func (w *walker) bounded(x int64) int {
	if x < -maxDim || x > maxDim {
		w.fail("an attribute is %d", x)
	}
	return int(x)
}

func (w *walker) ints(name string) []int {
	var out []int
	for _, x := range w.attr(name).GetInts() {
		out = append(out, w.bounded(x))
	}
	return out
}

func (w *walker) float(name string, usual float32) float32 {
	if a := w.attr(name); a != nil {
		return a.GetF()
	}
	return usual
}

func (w *walker) text(name string) string { return string(w.attr(name).GetS()) }

// list returns what is an attribute up to an operator set and the i-th input
// from it on; ok is false if it is not given.
func (w *walker) list(name string, i int) (list []int, ok bool) {
	if w.has(i) {
		for _, x := range w.known(i).ints() {
			list = append(list, min(max(x, -maxDim), maxDim))
		}
		return list, true
	}
	if w.attr(name) == nil {
		return nil, false
	}
	return w.ints(name), true
}
