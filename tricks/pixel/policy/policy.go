package policy

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ortrain/ortrain/tricks/strict"
)

// MostMagnitude is the strongest magnitude of a policy; 0 is the weakest.
const MostMagnitude = 9

// MostSteps and MostSubPolicies bound a policy.
const (
	MostSteps       = 7
	MostSubPolicies = 10_000
)

// Step is one operation of a sub-policy.
type Step struct {
	Op Op
	// P is the probability that the step is done, in [0, 1].
	P float64
	// Magnitude is 0 to 9 and need not be whole; operations without one
	// ignore it.
	Magnitude float64
}

// SubPolicy is done step by step.
type SubPolicy []Step

// Policy is a list of sub-policies; each image gets one of them, chosen
// uniformly.
type Policy []SubPolicy

// Validate checks what Parse checks. The error is a *strict.Error whose key is
// the place in the policy, such as 3.0.p.
func (p Policy) Validate() error {
	if len(p) < 1 || len(p) > MostSubPolicies {
		return strict.Errorf("", "a policy has 1 to %d sub-policies, not %d", MostSubPolicies, len(p))
	}
	for i, sub := range p {
		if len(sub) < 1 || len(sub) > MostSteps {
			return strict.Errorf(fmt.Sprint(i), "a sub-policy has 1 to %d steps, not %d", MostSteps, len(sub))
		}
		for j, step := range sub {
			key := fmt.Sprintf("%d.%d.", i, j)
			switch {
			case step.Op >= count:
				return strict.Errorf(key+"op", "no operation has the number %d", uint8(step.Op))
			case !(step.P >= 0 && step.P <= 1):
				return strict.Errorf(key+"p", "a probability, at least 0 and at most 1, got %v", step.P)
			case !(step.Magnitude >= 0 && step.Magnitude <= MostMagnitude):
				return strict.Errorf(key+"magnitude", "must be 0 to %d, got %v", MostMagnitude, step.Magnitude)
			}
		}
	}
	return nil
}

// written is a step in a file.
type written struct {
	Op        string   `yaml:"op"`
	P         *float64 `yaml:"p"`
	Magnitude *float64 `yaml:"magnitude"`
}

// Parse reads a policy file: a YAML list of sub-policies, each a list of
// steps such as {op: Rotate, p: 0.7, magnitude: 2}. p may be left out where it
// is 1, magnitude where the operation has none. The error is a *strict.Error
// with the line.
func Parse(text []byte, file string) (Policy, error) {
	p, lines, err := parse(text)
	if err != nil {
		return nil, locate(err, file, lines)
	}
	return p, nil
}

func parse(text []byte) (Policy, strict.Lines, error) {
	node, err := strict.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	if node.Kind != yaml.SequenceNode {
		return nil, nil, strict.Errorf("", "a policy is a list of sub-policies, such as - [{op: Rotate, p: 0.7, magnitude: 2}]")
	}
	// The decoder fills structs, so the list becomes the value of a key.
	const root = "policy"
	wrapped := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: root}, node,
	}}
	var file struct {
		Policy [][]written `yaml:"policy"`
	}
	marked := strict.Lines{}
	err = (&strict.Decoder{Lines: marked}).Decode(wrapped, &file)
	lines := strict.Lines{}
	for key, line := range marked {
		lines[strings.TrimPrefix(key, root+".")] = line
	}
	if err != nil {
		if e, ok := err.(*strict.Error); ok {
			e.Key = strings.TrimPrefix(strings.TrimPrefix(e.Key, root), ".")
		}
		return nil, lines, err
	}
	p := make(Policy, len(file.Policy))
	for i, sub := range file.Policy {
		for j, w := range sub {
			step, err := w.step()
			if err != nil {
				return nil, lines, strict.Within(fmt.Sprintf("%d.%d", i, j), err)
			}
			p[i] = append(p[i], step)
		}
	}
	return p, lines, p.Validate()
}

func (w written) step() (Step, error) {
	if w.Op == "" {
		return Step{}, strict.Errorf("op", "missing: name an operation, such as Rotate")
	}
	op, err := ParseOp(w.Op)
	if err != nil {
		return Step{}, strict.Within("op", err)
	}
	s := Step{Op: op, P: 1}
	if w.P != nil {
		s.P = *w.P
	}
	if w.Magnitude != nil {
		s.Magnitude = *w.Magnitude
	} else if op.Graded() {
		return Step{}, strict.Errorf("magnitude", "missing: %s needs one, 0 to %d", op, MostMagnitude)
	}
	return s, nil
}

// locate names the file and the line of the nearest key that has one.
func locate(err error, file string, lines strict.Lines) error {
	e, ok := err.(*strict.Error)
	if !ok {
		return fmt.Errorf("%s: %w", file, err)
	}
	out := *e
	out.File = file
	for key := out.Key; out.Line == 0 && key != ""; {
		out.Line = lines[key]
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return &out
}

// Load reads a policy file.
func Load(file string) (Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	return Parse(text, file)
}

// Marshal returns the policy as a file that Parse reads back.
func (p Policy) Marshal() []byte {
	var b strings.Builder
	for _, sub := range p {
		for i, s := range sub {
			lead := "  - "
			if i == 0 {
				lead = "- - "
			}
			fmt.Fprintf(&b, "%s{op: %s, p: %v", lead, s.Op, s.P)
			if s.Op.Graded() {
				fmt.Fprintf(&b, ", magnitude: %v", s.Magnitude)
			}
			b.WriteString("}\n")
		}
	}
	return []byte(b.String())
}
