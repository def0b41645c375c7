package kernels

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Placement is a node that does not run on the provider.
type Placement struct {
	Node     string `json:"node"`
	Operator string `json:"operator"`
	// Reason says why, for people.
	Reason string `json:"reason"`
	// ByDesign marks what belongs on the CPU: constants, which are computed
	// when the model is loaded, and the arithmetic of shapes.
	ByDesign bool `json:"by_design,omitempty"`
	// Constant marks those of them that are gone when the model runs.
	Constant bool `json:"constant,omitempty"`
	// Fatal marks a node at which loading the model fails.
	Fatal bool `json:"fatal,omitempty"`
}

// Report tells where the nodes of a model run.
type Report struct {
	// Nodes counts those of the model, subgraphs included; Served those that
	// the provider runs.
	Nodes  int `json:"nodes"`
	Served int `json:"served"`
	// Elsewhere lists the others.
	Elsewhere []Placement `json:"elsewhere"`
}

// Unwanted lists the nodes that fall back to the CPU, or fail, for want of a
// kernel.
func (r *Report) Unwanted() []Placement {
	return slices.DeleteFunc(slices.Clone(r.Elsewhere), func(p Placement) bool { return p.ByDesign })
}

// Place tells which nodes of a model the provider serves.
func (l *List) Place(m *onnx.ModelProto) *Report {
	opsets := map[string]int{}
	for _, o := range m.GetOpsetImport() {
		opsets[domain(o.GetDomain())] = int(o.GetVersion())
	}
	r := &Report{}
	l.place(m.GetGraph(), opsets, nil, r)
	return r
}

// domain maps the standard operators' long name to the short one.
func domain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

func (l *List) place(g *onnx.GraphProto, opsets map[string]int, outer map[string]value, r *Report) {
	known := read(g, outer)
	for _, n := range g.GetNode() {
		opset := opsets[domain(n.GetDomain())]
		for k := range n.GetOutput() {
			known[n.GetOutput()[k]] = l.infer(n, opset, k, known)
		}
		r.Nodes++
		p := l.refuses(n, opset, known)
		if p == nil {
			r.Served++
		} else {
			r.Elsewhere = append(r.Elsewhere, *p)
		}
		for _, a := range n.GetAttribute() {
			if sub := a.GetG(); sub != nil {
				l.place(sub, opsets, known, r)
			}
		}
	}
}

// refuses says why the provider does not run a node; nil if it does.
func (l *List) refuses(n *onnx.NodeProto, opset int, known map[string]value) *Placement {
	name := n.GetOpType()
	if d := n.GetDomain(); domain(d) != "" {
		name = d + ":" + name
	}
	p := &Placement{Node: n.GetName(), Operator: name}
	if len(n.GetOutput()) > 0 {
		out := known[n.GetOutput()[0]]
		if p.Node == "" {
			p.Node = n.GetOutput()[0]
		}
		switch {
		case out.constant:
			p.Reason, p.ByDesign, p.Constant = "a constant, computed when the model is loaded", true, true
			return p
		case out.shape && n.GetOpType() != "Shape" && n.GetOpType() != "Size":
			p.Reason, p.ByDesign = "arithmetic of shapes, which ONNX Runtime keeps on the CPU", true
			return p
		}
	}
	if slices.Contains(l.whole, n.GetDomain()) {
		return nil
	}
	if p.Reason, p.Fatal = condition(n, opset); p.Reason != "" {
		return p
	}
	e := l.operators[operator{domain(n.GetDomain()), n.GetOpType()}]
	if e == nil {
		p.Reason = "there is no kernel of this operator"
		return p
	}
	ks := e.serving(opset)
	if len(ks) == 0 {
		var have []string
		for _, k := range e.kernels {
			h := fmt.Sprint(k.first)
			if k.last != k.first {
				h = fmt.Sprintf("%d to %d", k.first, k.last)
			}
			if !slices.Contains(have, h) {
				have = append(have, h)
			}
		}
		p.Reason = fmt.Sprintf("there is no kernel of its version %d (operator set %d); there are those of %s", e.since(opset), opset, strings.Join(have, ", "))
		return p
	}
	for _, k := range ks {
		var slotName, typ string
		if slotName, typ = k.misfit(n, known); slotName == "" {
			return nil
		}
		if p.Reason == "" {
			p.Reason = fmt.Sprintf("there is no kernel for %s of type %s", slotName, typ)
		}
	}
	return p
}

// misfit names an input or output whose type the kernel does not take, and the
// type; "" if it takes all. Types that are not known fit.
func (k kernel) misfit(n *onnx.NodeProto, known map[string]value) (where, typ string) {
	for _, g := range k.groups {
		for _, side := range []struct {
			output bool
			names  []string
			what   string
		}{{false, n.GetInput(), "input"}, {true, n.GetOutput(), "output"}} {
			for i, name := range side.names {
				t := known[name].typ
				if name != "" && t != "" && g.holds(side.output, i) && g.types[0] != "?" && !slices.Contains(g.types, t) {
					return fmt.Sprintf("%s %d", side.what, i), t
				}
			}
		}
	}
	return "", ""
}

// condition knows what the kernels refuse beside types and versions, from ONNX
// Runtime's sources: cuda_execution_provider.cc and the kernels' constructors.
func condition(n *onnx.NodeProto, opset int) (reason string, fatal bool) {
	attr := map[string]*onnx.AttributeProto{}
	for _, a := range n.GetAttribute() {
		attr[a.GetName()] = a
	}
	switch n.GetOpType() {
	case "BatchNormalization":
		if attr["training_mode"].GetI() != 0 && opset >= 14 {
			return "the kernel refuses training mode from operator set 14 on", true
		}
	case "FusedConv":
		if n.GetDomain() == "com.microsoft" && attr["activation"] == nil {
			return "the kernel refuses a convolution without an activation", true
		}
	case "ConvTranspose":
		if mode := string(attr["auto_pad"].GetS()); mode != "" && mode != "NOTSET" {
			return "automatic padding is left to the CPU", false
		}
		pads := attr["pads"].GetInts()
		for i := range len(pads) / 2 {
			if pads[i] != pads[i+len(pads)/2] {
				return "unequal padding is left to the CPU", false
			}
		}
	}
	return "", false
}
