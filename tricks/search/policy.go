package search

import (
	"fmt"
	"math"
	"strings"

	"github.com/ortrain/ortrain/tricks/pixel/policy"
)

// Policies is the space of policies that a search goes through: each has
// SubPolicies sub-policies of Steps steps, a step an operation of Ops, a
// probability and a magnitude.
type Policies struct {
	Ops                []policy.Op
	SubPolicies, Steps int
}

// Operations are the sixteen of AutoAugment, among which Fast AutoAugment
// searches.
func Operations() []policy.Op {
	var list []policy.Op
	for _, op := range policy.Ops() {
		if op != policy.Identity {
			list = append(list, op)
		}
	}
	return list
}

// Dimensions are three for each step: operation, probability, magnitude.
func (s Policies) Dimensions() []Dimension {
	var list []Dimension
	for range s.SubPolicies * s.Steps {
		list = append(list, Dimension{Choices: len(s.Ops)}, Dimension{High: 1}, Dimension{High: policy.MostMagnitude})
	}
	return list
}

// Round cuts the probabilities and magnitudes of a point to hundredths, so that
// what is tried is what a file says.
func (s Policies) Round(point []float64) {
	for i := range point {
		if i%3 > 0 {
			point[i] = math.Round(point[i]*100) / 100
		}
	}
}

// Policy returns the policy that a point stands for.
func (s Policies) Policy(point []float64) policy.Policy {
	p := make(policy.Policy, s.SubPolicies)
	for i := range p {
		for range s.Steps {
			step := policy.Step{Op: s.Ops[int(point[0])], P: point[1]}
			if step.Op.Graded() {
				step.Magnitude = point[2]
			}
			p[i] = append(p[i], step)
			point = point[3:]
		}
	}
	return p
}

// Merge returns the sub-policies of all policies, each once, without steps that
// never happen.
func Merge(all ...policy.Policy) policy.Policy {
	var out policy.Policy
	seen := map[string]bool{}
	for _, p := range all {
		for _, sub := range p {
			var kept policy.SubPolicy
			for _, step := range sub {
				if step.P > 0 {
					kept = append(kept, step)
				}
			}
			if name := Spell(kept); len(kept) > 0 && !seen[name] {
				seen[name] = true
				out = append(out, kept)
			}
		}
	}
	return out
}

// Spell writes a sub-policy in one line: "Rotate 0.7 2, Invert 0.1".
func Spell(sub policy.SubPolicy) string {
	var parts []string
	for _, s := range sub {
		parts = append(parts, SpellStep(s))
	}
	return strings.Join(parts, ", ")
}

// SpellStep writes a step: operation, probability and, if it has one,
// magnitude.
func SpellStep(s policy.Step) string {
	if !s.Op.Graded() {
		return fmt.Sprintf("%s %g", s.Op, s.P)
	}
	return fmt.Sprintf("%s %g %g", s.Op, s.P, s.Magnitude)
}
