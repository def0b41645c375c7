package importer

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// The nodes of the file that a network is made of.

// arrange sorts the nodes that the output depends on, takes constants out of
// them, and leaves a final Softmax away.
func (s *Source) arrange(g *onnx.GraphProto, dir string) error {
	producer := map[string]int{}
	nodes := g.GetNode()
	for i, n := range nodes {
		for _, out := range n.GetOutput() {
			if out == "" {
				continue
			}
			if _, taken := producer[out]; taken || s.tensors[out] != nil || out == s.input {
				return fmt.Errorf("value %q is produced twice", out)
			}
			producer[out] = i
		}
	}
	for {
		i, ok := producer[s.output]
		if !ok {
			return fmt.Errorf("nothing computes its output %s", s.output)
		}
		n := nodes[i]
		if op := n.GetOpType(); (op == "Softmax" || op == "LogSoftmax" || op == "Identity" || op == "Cast") && len(n.GetInput()) == 1 {
			if _, inner := producer[n.GetInput()[0]]; inner {
				s.output = n.GetInput()[0]
				continue
			}
		}
		break
	}
	// Depth first from the output, without recursion: files may be deep.
	const waiting, done = 1, 2
	state := make([]int8, len(nodes))
	stack := []int{producer[s.output]}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		if state[i] == done {
			stack = stack[:len(stack)-1]
			continue
		}
		ready := true
		for _, in := range nodes[i].GetInput() {
			p, ok := producer[in]
			if !ok || state[p] == done {
				continue
			}
			if state[p] == waiting && state[i] == waiting {
				return fmt.Errorf("the graph has a cycle through %q", in)
			}
			ready = false
			stack = append(stack, p)
		}
		if !ready {
			state[i] = waiting
			continue
		}
		state[i] = done
		stack = stack[:len(stack)-1]
		s.nodes = append(s.nodes, nodes[i])
	}
	return s.constants(dir)
}

// constants turns Constant nodes, and other names for initializers, into
// tensors.
func (s *Source) constants(dir string) error {
	kept := s.nodes[:0]
	for _, n := range s.nodes {
		if n.GetDomain() != "" && n.GetDomain() != "ai.onnx" {
			return fmt.Errorf("node %s: operator %s of the set %s has no gradient here", nodeName(n), n.GetOpType(), n.GetDomain())
		}
		switch n.GetOpType() {
		case "Constant":
			if len(n.GetOutput()) != 1 {
				return fmt.Errorf("node %s has no output", nodeName(n))
			}
			t, err := constant(n)
			if err != nil {
				return err
			}
			s.tensors[n.GetOutput()[0]] = &tensor{proto: t, dir: dir, literal: true}
			continue
		case "Identity":
			// PyTorch writes equal weights once and names the others so.
			if len(n.GetInput()) == 1 && len(n.GetOutput()) == 1 {
				if t := s.tensors[n.GetInput()[0]]; t != nil {
					s.tensors[n.GetOutput()[0]] = t
					continue
				}
			}
		case "If", "Loop", "Scan", "SequenceMap":
			return fmt.Errorf("node %s: the control-flow operator %s cannot be imported; export the model without it", nodeName(n), n.GetOpType())
		}
		if translations[n.GetOpType()] == nil {
			return fmt.Errorf("node %s: operator %s has no gradient here, so the model cannot be trained", nodeName(n), n.GetOpType())
		}
		kept = append(kept, n)
	}
	s.nodes = kept
	return nil
}

// nodeName names a node for a person.
func nodeName(n *onnx.NodeProto) string {
	if n.GetName() != "" {
		return fmt.Sprintf("%q", n.GetName())
	}
	if len(n.GetOutput()) > 0 {
		return fmt.Sprintf("of value %q", n.GetOutput()[0])
	}
	return "without a name"
}

// constant is the value of a Constant node.
func constant(n *onnx.NodeProto) (*onnx.TensorProto, error) {
	for _, a := range n.GetAttribute() {
		switch a.GetName() {
		case "value":
			if a.GetT() != nil {
				return a.GetT(), nil
			}
		case "value_float":
			return onnx.Floats("", nil, []float32{a.GetF()}), nil
		case "value_floats":
			return onnx.Floats("", []int64{int64(len(a.GetFloats()))}, a.GetFloats()), nil
		case "value_int":
			return onnx.Ints("", nil, []int64{a.GetI()}), nil
		case "value_ints":
			return onnx.Ints("", []int64{int64(len(a.GetInts()))}, a.GetInts()), nil
		}
	}
	return nil, fmt.Errorf("node %s: a constant of another kind than numbers cannot be imported", nodeName(n))
}
