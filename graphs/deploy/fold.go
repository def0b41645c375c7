package deploy

import (
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Folded counts what Fold did.
type Folded struct {
	// Norms were folded into the convolution or matrix product before them;
	// Kept follow something else and stay, as one affine node each.
	Norms, Kept int
	// Dropped are nodes without effect at inference: Dropout, Identity.
	Dropped int
}

// Fold removes what only training needs. Batch norms that directly follow a
// convolution or a matrix product with constant weights, which nothing else
// reads, become part of its weights and bias (in float64, so that the logits
// move by rounding only); so do constants that are added or multiplied there.
// Dropout and Identity go. Other batch norms stay: before an activation, as in
// pre-activation networks, there is nothing to fold them into.
func Fold(m *onnx.ModelProto) (*onnx.ModelProto, Folded, error) {
	var f Folded
	e, err := begin(m)
	if err != nil {
		return nil, f, fmt.Errorf("fold: %w", err)
	}
	e.storeConstants()
	f.Dropped = e.dropIdle()
	e.plainProducts()
	for {
		changed := false
		for _, n := range e.graph.Node {
			ok, err := e.foldNorm(n)
			if err != nil {
				return nil, f, fmt.Errorf("fold: %w", err)
			}
			if ok {
				f.Norms++
			} else if ok, err = e.foldConstant(n); err != nil {
				return nil, f, fmt.Errorf("fold: %w", err)
			}
			changed = changed || ok
		}
		if !changed {
			break
		}
	}
	folded := e.finish()
	for _, n := range e.graph.Node {
		if standard(n, "BatchNormalization") {
			f.Kept++
		}
	}
	return folded, f, nil
}

// storeConstants turns Constant nodes with a tensor into initializers.
func (e *edit) storeConstants() {
	kept := e.graph.Node[:0]
	for _, n := range e.graph.Node {
		if a := attribute(n, "value"); standard(n, "Constant") && a.GetT() != nil && len(n.Output) == 1 {
			t := a.GetT()
			t.Name = n.Output[0]
			e.graph.Initializer = append(e.graph.Initializer, t)
			continue
		}
		kept = append(kept, n)
	}
	e.graph.Node = kept
	e.index()
}

// dropIdle removes nodes that hand their input on.
func (e *edit) dropIdle() int {
	outputs := map[string]bool{}
	for _, v := range e.graph.Output {
		outputs[v.GetName()] = true
	}
	dropped := 0
	for _, n := range e.graph.Node {
		if !standard(n, "Identity") && !standard(n, "Dropout") {
			continue
		}
		if len(n.Output) > 1 && e.readers[n.Output[1]] > 0 {
			continue // somebody reads the mask
		}
		from, to := n.Output[0], n.Input[0]
		if t := input(n, 2); t != "" && !e.falseConstant(t) {
			continue // it may be told to train
		}
		switch p := e.producer[to]; {
		case !outputs[from]:
			e.replaceReads(from, to)
		case p != nil && !outputs[to]:
			// The producer takes over the output's name.
			e.replaceReads(to, from)
			n.Input[0] = to
			for i, name := range p.Output {
				if name == to {
					p.Output[i] = from
				}
			}
		default:
			continue // an input that leaves the graph needs a node between
		}
		n.Output[0] = e.fresh(from + "/dropped")
		e.index()
		dropped++
	}
	e.prune()
	return dropped
}

func (e *edit) falseConstant(name string) bool {
	t := e.constants[name]
	if t == nil || t.GetDataType() != int32(onnx.TensorProto_BOOL) {
		return false
	}
	for _, v := range t.Int32Data {
		if v != 0 {
			return false
		}
	}
	for _, b := range t.RawData {
		if b != 0 {
			return false
		}
	}
	return true
}

// plainProducts turns matrix products of the runtime's own domain into Gemm,
// which any ONNX tool reads, where the weights are a constant matrix.
func (e *edit) plainProducts() {
	for _, n := range e.graph.Node {
		if n.GetOpType() != "FusedMatMul" || n.GetDomain() != "com.microsoft" {
			continue
		}
		w := e.constants[input(n, 1)]
		if w == nil || len(w.Dims) != 2 || attrInt(n, "transBatchA", 0) != 0 || attrInt(n, "transBatchB", 0) != 0 ||
			!e.matrix(input(n, 0)) {
			continue
		}
		alpha, ta, tb := attrFloat(n, "alpha", 1), attrInt(n, "transA", 0), attrInt(n, "transB", 0)
		n.OpType, n.Domain = "Gemm", ""
		n.Attribute = []*onnx.AttributeProto{
			onnx.AttrFloat("alpha", alpha), onnx.AttrInt("transA", ta), onnx.AttrInt("transB", tb)}
	}
	e.dropDomain("com.microsoft")
}

// matrix tells whether a value surely has two dimensions.
func (e *edit) matrix(name string) bool {
	p := e.producer[name]
	return standard(p, "Flatten") || standard(p, "Gemm")
}

// dropDomain takes back the import of a domain of which no node is left.
func (e *edit) dropDomain(domain string) {
	for _, n := range e.graph.Node {
		if n.GetDomain() == domain {
			return
		}
	}
	kept := e.model.OpsetImport[:0]
	for _, o := range e.model.OpsetImport {
		if o.GetDomain() != domain {
			kept = append(kept, o)
		}
	}
	e.model.OpsetImport = kept
}

// foldNorm folds a batch norm into what comes before it.
func (e *edit) foldNorm(n *onnx.NodeProto) (bool, error) {
	if !standard(n, "BatchNormalization") || attrInt(n, "training_mode", 0) != 0 || len(n.Input) != 5 || len(n.Output) != 1 {
		return false, nil
	}
	w, channels := e.weighted(n.Input[0])
	if w == nil {
		return false, nil
	}
	var state [4][]float32 // scale, shift, mean, variance
	for i := range state {
		var err error
		if state[i], err = e.vector(n.Input[1+i], channels); err != nil {
			return false, err
		}
		if state[i] == nil {
			return false, nil
		}
	}
	eps := float64(attrFloat(n, "epsilon", 1e-5))
	a, b := make([]float64, channels), make([]float64, channels)
	for c := range a {
		a[c] = float64(state[0][c]) / math.Sqrt(float64(state[3][c])+eps)
		b[c] = float64(state[1][c]) - float64(state[2][c])*a[c]
	}
	return e.absorb(w, n, a, b)
}

// foldConstant folds the addition of, or the multiplication by, a constant of
// one value a channel or one in all into the product before it.
func (e *edit) foldConstant(n *onnx.NodeProto) (bool, error) {
	if !standard(n, "Add") && !standard(n, "Mul") {
		return false, nil
	}
	for i := range 2 {
		w, channels := e.weighted(n.Input[i])
		if w == nil {
			continue
		}
		t := e.constants[n.Input[1-i]]
		if t == nil || !alongChannels(t.Dims, channels, len(e.constants[w.Input[1]].Dims)) {
			continue
		}
		v, err := e.vector(n.Input[1-i], elements(t.Dims))
		if err != nil || v == nil {
			return false, err
		}
		a, b := make([]float64, channels), make([]float64, channels)
		for c := range a {
			x := float64(v[c%len(v)])
			if a[c], b[c] = 1, x; standard(n, "Mul") {
				a[c], b[c] = x, 0
			}
		}
		return e.absorb(w, n, a, b)
	}
	return false, nil
}

// alongChannels tells whether a constant varies along dimension 1 only of a
// result of the given rank, which it must not make larger.
func alongChannels(dims []int64, channels, rank int) bool {
	if len(dims) > rank {
		return false
	}
	for i, d := range dims {
		if at := rank - len(dims) + i; d != 1 && (at != 1 || d != int64(channels)) {
			return false
		}
	}
	return true
}

// weighted returns the convolution or product that computes a value which only
// one node reads, and the number of its output channels; nil if it is none, or
// its weights are no constants.
func (e *edit) weighted(value string) (*onnx.NodeProto, int) {
	p := e.producer[value]
	if p == nil || e.readers[value] != 1 || !e.float(input(p, 1)) || input(p, 2) != "" && !e.float(input(p, 2)) {
		return nil, 0
	}
	dims := e.constants[p.Input[1]].Dims
	switch {
	case standard(p, "Conv") && len(dims) >= 3:
		return p, int(dims[0])
	case standard(p, "Gemm") && len(dims) == 2 && attrInt(p, "transA", 0) == 0:
		out := dims[1]
		if attrInt(p, "transB", 0) != 0 {
			out = dims[0]
		}
		if bias := e.constants[input(p, 2)]; bias != nil && elements(bias.Dims) != int(out) {
			return nil, 0
		}
		return p, int(out)
	}
	return nil, 0
}

// absorb scales the output channels of w by a, adds b, and removes n, whose
// result w then computes.
func (e *edit) absorb(w, n *onnx.NodeProto, a, b []float64) (bool, error) {
	weights := e.constants[w.Input[1]]
	v, err := floats(weights)
	if err != nil {
		return false, err
	}
	bias := make([]float64, len(a))
	if name := input(w, 2); name != "" {
		old, err := floats(e.constants[name])
		if err != nil {
			return false, err
		}
		beta := 1.0
		if standard(w, "Gemm") {
			beta = float64(attrFloat(w, "beta", 1))
		}
		for c := range bias {
			bias[c] = beta * float64(old[c])
		}
	}
	columns := standard(w, "Gemm") && attrInt(w, "transB", 0) == 0
	per := len(v) / len(a)
	for i := range v {
		c := i / per
		if columns {
			c = i % len(a)
		}
		v[i] = float32(float64(v[i]) * a[c])
	}
	shift := make([]float32, len(a))
	for c := range shift {
		shift[c] = float32(bias[c]*a[c] + b[c])
	}
	folded := onnx.Floats(weights.GetName(), weights.Dims, v)
	if e.readers[folded.Name] == 1 {
		weights.RawData, weights.FloatData = folded.RawData, nil
	} else {
		e.readers[folded.Name]--
		folded.Name += "/folded"
		e.constant(folded)
	}
	added := onnx.Floats(biasOf(w.Input[1]), []int64{int64(len(shift))}, shift)
	if old := e.constants[added.Name]; old != nil && e.readers[added.Name] == 1 && slices.Contains(n.Input, added.Name) {
		// The constant that n adds has the right name already.
		old.Dims, old.RawData, old.FloatData = added.Dims, added.RawData, nil
		n.Input[slices.Index(n.Input, added.Name)] = ""
	} else {
		e.constant(added)
	}
	w.Input = []string{w.Input[0], folded.Name, added.Name}
	e.readers[folded.Name], e.readers[added.Name] = 1, 1
	if a := attribute(w, "beta"); a != nil {
		a.F = 1
	}
	// Nobody reads n from now on, so that it is pruned.
	value := n.Output[0]
	delete(e.producer, w.Output[0])
	n.Output[0] = e.fresh(value + "/folded")
	w.Output[0] = value
	e.producer[value] = w
	return true, nil
}

// biasOf names the bias of a weight: "conv1.weight" has "conv1.bias".
func biasOf(weight string) string {
	const suffix = ".weight"
	if n := len(weight) - len(suffix); n > 0 && weight[n:] == suffix {
		return weight[:n] + ".bias"
	}
	return weight + ".bias"
}
