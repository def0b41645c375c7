// Package kernels tells which nodes of a model an execution provider of ONNX
// Runtime would leave to the CPU provider, from a list of the provider's
// kernels. No session and no device is needed.
//
// The list (cuda.tsv) is what the registry of the provider's library held; it
// is made by tools/kernels-list, which also asks ONNX Runtime itself where it
// puts a model's nodes.
package kernels

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed cuda.tsv
var cudaList string

// Version is the release of ONNX Runtime that the lists were read from.
const Version = "1.30.0"

// List holds the kernels of a provider.
type List struct {
	operators map[operator]*entry
	// whole are the domains of which it has every operator.
	whole []string
}

type operator struct{ domain, name string }

// entry is an operator's: the versions of its definition, and its kernels.
type entry struct {
	versions []int
	kernels  []kernel
}

// kernel serves the versions of a definition from first to last, last being
// first for one with an open end.
type kernel struct {
	first, last int
	groups      []group
}

// group are inputs and outputs that share a type, and the types there are.
type group struct {
	slots []slot
	types []string
}

// slot is input or output number n, or with more all from there on.
type slot struct {
	output, more bool
	n            int
}

func (g group) holds(output bool, n int) bool {
	return slices.ContainsFunc(g.slots, func(s slot) bool {
		return s.output == output && (s.n == n || s.more && n >= s.n)
	})
}

// With returns the list with all the operators of a domain as well, those of a
// library that is registered with the session.
func (l *List) With(domain string) *List {
	return &List{operators: l.operators, whole: append(slices.Clone(l.whole), domain)}
}

// CUDA returns the list of the CUDA provider.
var CUDA = sync.OnceValue(func() *List {
	l, err := parse(cudaList)
	if err != nil {
		panic("kernels: cuda.tsv: " + err.Error()) // it is part of the program
	}
	return l
})

func parse(text string) (*List, error) {
	l := &List{operators: map[operator]*entry{}}
	var current *entry
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Split(line, "\t")
		switch {
		case line == "" || line[0] == '#':
		case fields[0] == "=" && len(fields) == 4:
			current = &entry{}
			l.operators[operator{fields[1], fields[2]}] = current
			for _, v := range strings.Fields(fields[3]) {
				n, err := strconv.Atoi(v)
				if err != nil {
					return nil, fmt.Errorf("line %d: version %q", i+1, v)
				}
				current.versions = append(current.versions, n)
			}
		case fields[0] == "+" && len(fields) > 2 && current != nil:
			k, err := parseKernel(fields[1:])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			current.kernels = append(current.kernels, k)
		default:
			return nil, fmt.Errorf("line %d is no operator and no kernel", i+1)
		}
	}
	return l, nil
}

func parseKernel(fields []string) (k kernel, err error) {
	if k.first, err = strconv.Atoi(fields[0]); err != nil {
		return k, fmt.Errorf("first version %q", fields[0])
	}
	k.last = k.first
	if fields[1] != "" {
		if k.last, err = strconv.Atoi(fields[1]); err != nil {
			return k, fmt.Errorf("last version %q", fields[1])
		}
	}
	for _, f := range fields[2:] {
		where, types, ok := strings.Cut(f, "=")
		if !ok {
			return k, fmt.Errorf("%q has no types", f)
		}
		g := group{types: strings.Split(types, ",")}
		for _, s := range strings.Split(where, ",") {
			number, more := strings.CutSuffix(s, "+")
			if number == "" || number[0] != 'i' && number[0] != 'o' {
				return k, fmt.Errorf("%q is no input or output", s)
			}
			n, err := strconv.Atoi(number[1:])
			if err != nil {
				return k, fmt.Errorf("%q is no input or output", s)
			}
			g.slots = append(g.slots, slot{output: number[0] == 'o', more: more, n: n})
		}
		k.groups = append(k.groups, g)
	}
	return k, nil
}

// since returns the version of the definition that an opset holds; 0 if it
// holds none.
func (e *entry) since(opset int) int {
	v := 0
	for _, n := range e.versions {
		if n <= opset {
			v = max(v, n)
		}
	}
	return v
}

// serving returns the kernels for an opset.
func (e *entry) serving(opset int) []kernel {
	since := e.since(opset)
	var ks []kernel
	for _, k := range e.kernels {
		if k.first <= since && since <= k.last {
			ks = append(ks, k)
		}
	}
	return ks
}
