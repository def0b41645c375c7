// Package lower turns ir graphs into ONNX models for one provider.
//
// # How it is built
//
// Every ir operator kind has one or more forms: functions that emit ONNX nodes
// computing the same numbers in different ways. A form may not apply to every
// shape; it then declines. For each node the lowering tries the forms in the
// order its cost rule ranks them and takes the first that applies. All forms
// of a kind are tested against each other and against a float64 reference.
//
// A form sees the node, the names of its inputs as already emitted, and an
// Emitter to append ONNX nodes to. Forms share small constants (axes, shapes,
// scalars) through the emitter, which keeps one initializer per distinct
// content.
//
// Before the walk, fusions look for patterns of neighbouring nodes whose
// combined form makes fewer passes over memory; the nodes they take over are
// skipped by the walk.
//
// # Layouts
//
// A value may exist in two layouts: plain, N×C×H×W, and blocked, where the
// channels are cut into blocks of 8 or 16 that lie innermost (N×C/B×H×W×B,
// declared with the plain shape). The runtime's fastest convolutions work on
// blocks, and uses them by itself only for constant weights. Where Options.Block
// allows, forms emit blocked values; the emitter reorders a value when a form
// wants the layout it is not in, once, so neighbours that agree pay nothing.
//
// # CUDA
//
// The forms for the CUDA provider (cuda.go) are the plain ones among the CPU's,
// ranked anew, and some of its own. With its kernel library the second layout is
// channels last (N×H×W×C, declared with the plain shape), and the same rules hold
// as for blocks.
//
// The models use operators of the standard set at opset 21 and, where it pays,
// FusedMatMul of com.microsoft, which every stock ONNX Runtime has.
package lower

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Opset is the version of the standard operator set that models declare: the
// last one that the CUDA provider serves in full.
const Opset = 21

// irVersion is the file format version that goes with the opset.
const irVersion = 10

// ErrForm is returned by Lower when a form that was asked for by name does not
// apply to a node.
var ErrForm = errors.New("form does not apply")

// Options choose provider and forms.
type Options struct {
	// Provider is CPU (also the meaning of "") or CUDA.
	Provider string
	// Threads is the number of intra-op threads the model will run with; 0
	// means unknown. Cost rules may use it.
	Threads int
	// Block is the channel block of the runtime's blocked layout on the machine
	// that will run the model (runtime.ChannelBlock tells: 8 or 16); 0 keeps to
	// the plain layout, which runs anywhere.
	Block int
	// Kernels allows the operators of the provider's kernel library, which the
	// session that runs the model must have loaded. Those of the CPU need Block,
	// and Threads.
	Kernels bool
	// Choices names the form to take for a node, by Key, where it has been
	// measured; one that does not apply is passed over.
	Choices map[string]string
	// Forms forces a form, by operator kind. A node of that kind to which the
	// form does not apply is an error wrapping ErrForm.
	Forms map[string]string
	// NoFusion keeps every node on its own; for tests.
	NoFusion bool
	// Metadata becomes the model's metadata properties.
	Metadata map[string]string
	// Producer and Version name the writer in the file.
	Producer, Version string
}

// form is one way to emit a node.
type form struct {
	name string
	// emit appends the node; it returns false, having emitted nothing, when
	// the form does not apply to the node's shapes and attributes.
	emit func(e *Emitter, n *ir.Node) bool
	// rank orders the forms for a node: lower is better. nil counts as 0, so
	// that equal forms keep their order of registration.
	rank func(n *ir.Node, o Options) float64
	// half tells that the form may compute in float16.
	half bool
}

var cpuForms = map[string][]form{}

// register adds a form of an operator kind to the CPU lowering.
func register(kind string, f form) {
	if slices.ContainsFunc(cpuForms[kind], func(g form) bool { return g.name == f.name }) {
		panic(fmt.Sprintf("lower: %s has two forms %q", kind, f.name))
	}
	cpuForms[kind] = append(cpuForms[kind], f)
}

// The providers that there is a lowering for.
const (
	CPU  = "cpu"
	CUDA = "cuda"
)

// formsOf returns the forms of a provider by operator kind.
func formsOf(provider string) map[string][]form {
	if provider == CUDA {
		return cudaForms()
	}
	return cpuForms
}

// Forms lists the names of the CPU forms of an operator kind.
func Forms(kind string) []string { return FormsFor(CPU, kind) }

// FormsFor lists the names of a provider's forms of an operator kind.
func FormsFor(provider, kind string) []string {
	var names []string
	for _, f := range formsOf(provider)[kind] {
		names = append(names, f.name)
	}
	return names
}

// NeedsKernels reports whether a provider's forms of a name need its kernel
// library.
func NeedsKernels(provider, form string) bool {
	return form == "kernel" || provider == CUDA && form == lastForm
}

// OwnForms lists the forms of an operator kind that a provider has to itself,
// beside those of the CPU that it takes over.
func OwnForms(provider, kind string) []string {
	var names []string
	if provider == CUDA {
		for _, f := range cudaOwn[kind] {
			names = append(names, f.name)
		}
	}
	return names
}

// Kinds lists the operator kinds that can be lowered, sorted.
func Kinds() []string {
	var kinds []string
	for k := range cpuForms {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

// Lower emits g as an ONNX model.
func Lower(g *ir.Graph, o Options) (*onnx.ModelProto, error) {
	switch o.Provider {
	case "", CPU:
	case CUDA:
		if o.Block != 0 {
			return nil, errors.New("lower: channel blocks are the CPU's; provider cuda has none")
		}
		// Those without the kernel library save passes of the CPU's kernels.
		o.NoFusion = o.NoFusion || !o.Kernels
	default:
		return nil, fmt.Errorf("lower: no lowering for provider %q; there are %s and %s", o.Provider, CPU, CUDA)
	}
	e := newEmitter(g, o)
	if !o.NoFusion {
		e.fuse()
	}
	for _, n := range g.Nodes {
		if e.skip[n] {
			continue
		}
		if emit := e.fused[n]; emit != nil {
			if e.channelsLast() {
				emit() // by kernels that take either type
			} else {
				e.inFloat32(emit)
			}
			continue
		}
		if err := e.lowerNode(n); err != nil {
			return nil, err
		}
	}
	return e.finish()
}

func (e *Emitter) lowerNode(n *ir.Node) error {
	kind := n.Op.Kind()
	forms := formsOf(e.opts.Provider)[kind]
	if len(forms) == 0 {
		return fmt.Errorf("lower: node %q: operator %s has no form for %s", n.Name, kind, cmp.Or(e.opts.Provider, CPU))
	}
	e.current = n
	if want := e.opts.Forms[kind]; want != "" {
		i := slices.IndexFunc(forms, func(f form) bool { return f.name == want })
		if i < 0 {
			return fmt.Errorf("lower: operator %s has no form %q; it has %v", kind, want, FormsFor(e.opts.Provider, kind))
		}
		if !forms[i].apply(e, n) {
			return fmt.Errorf("lower: node %q: %s form %q: %w", n.Name, kind, want, ErrForm)
		}
		return nil
	}
	forms = ranked(n, e.opts)
	if i := slices.IndexFunc(forms, func(f form) bool { return f.name == e.choice(n) }); i > 0 {
		forms[0], forms[i] = forms[i], forms[0]
	}
	for _, f := range forms {
		if f.apply(e, n) {
			return nil
		}
	}
	return fmt.Errorf("lower: node %q: no form of %s applies to %v on %s", n.Name, kind, n.Op, cmp.Or(e.opts.Provider, CPU))
}

// ranked returns the forms of a node in the order of the cost rule.
func ranked(n *ir.Node, o Options) []form {
	forms := slices.Clone(formsOf(o.Provider)[n.Op.Kind()])
	slices.SortStableFunc(forms, func(a, b form) int { return cmp.Compare(a.cost(n, o), b.cost(n, o)) })
	return forms
}

// choice returns the form that was measured to be the fastest for a node; ""
// if that is not known.
func (e *Emitter) choice(n *ir.Node) string {
	if len(e.opts.Choices) == 0 {
		return ""
	}
	return e.opts.Choices[Key(n)]
}

func (f form) cost(n *ir.Node, o Options) float64 {
	if f.rank == nil {
		return 0
	}
	return f.rank(n, o)
}
