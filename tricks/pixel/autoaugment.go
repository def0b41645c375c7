package pixel

import (
	_ "embed" // the card
	"path/filepath"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed autoaugment.md
var autoAugmentCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "autoaugment",
		Summary: "one of a learned policy's sub-policies, each operation with its probability and magnitude",
		Card:    autoAugmentCard,
	}, func() Options {
		return &AutoAugmentOptions{Policy: "cifar10", Ranges: "torchvision", Fill: "black", Interpolation: "nearest"}
	})
}

// AutoAugment applies one sub-policy of a policy, chosen uniformly, its steps
// in order, each with its own probability (Cubuk et al. 2018, "AutoAugment:
// Learning Augmentation Policies from Data").
type AutoAugment struct {
	Policy  policy.Policy
	Space   *policy.Space
	Painter policy.Painter
}

// Size implements Transform.
func (AutoAugment) Size(in Size) Size { return in }

// Sample implements Transform. The slots are those of a list of steps; Skip is
// set when there are none.
func (a AutoAugment) Sample(r *rng.Stream, in Size) (p Params) {
	for _, step := range a.Policy[r.IntN(len(a.Policy))] {
		op := step.Op
		if r.Float64() >= step.P {
			op = policy.Identity
		}
		p.addStep(r, a.Space, op, step.Magnitude, in)
	}
	p.Skip = p.Int[0] == 0
	return p
}

// Apply implements Pixels.
func (a AutoAugment) Apply(dst, src *Image, p *Params) { runSteps(a.Painter, dst, src, p) }

// AutoAugmentOptions are the recipe keys of AutoAugment.
type AutoAugmentOptions struct {
	// Policy is cifar10, svhn, imagenet or the path of a policy file (.yaml
	// or .yml), which Build reads.
	Policy string `yaml:"policy"`
	// Ranges is "torchvision" or "reference": what the magnitudes mean.
	Ranges string `yaml:"ranges"`
	// Fill is the colour of what comes from beyond the border: black, grey,
	// mean or #rrggbb.
	Fill string `yaml:"fill"`
	// Interpolation is "nearest" or "bilinear".
	Interpolation string `yaml:"interpolation"`
}

func isPolicyFile(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml":
		return true
	}
	return false
}

// Validate implements Options.
func (o *AutoAugmentOptions) Validate() error {
	if !isPolicyFile(o.Policy) {
		if _, err := policy.Published(o.Policy); err != nil {
			return strict.Errorf("policy", "%v; a policy file's name ends in .yaml", err)
		}
	}
	return first(
		checkName("ranges", "ranges", o.Ranges, "torchvision", "reference"),
		checkFill(o.Fill),
		checkName("interpolation", "interpolation", o.Interpolation, "nearest", "bilinear"),
	)
}

// WithPolicy returns the options of a chain's transform that follows a policy
// in memory, in place of o.Policy.
func (o AutoAugmentOptions) WithPolicy(p policy.Policy) Options { return &policyOptions{o, p} }

type policyOptions struct {
	AutoAugmentOptions
	policy policy.Policy
}

// Validate implements Options.
func (o *policyOptions) Validate() error {
	o.Policy = "cifar10" // is not looked at
	if err := o.AutoAugmentOptions.Validate(); err != nil {
		return err
	}
	return strict.Within("policy", o.policy.Validate())
}

// Build implements Options.
func (o *policyOptions) Build(info Info) (Transform, error) { return o.transform(o.policy, info), nil }

// Build implements Options.
func (o *AutoAugmentOptions) Build(info Info) (Transform, error) {
	load := policy.Published
	if isPolicyFile(o.Policy) {
		load = policy.Load
	}
	p, err := load(o.Policy)
	if err != nil {
		return nil, strict.Within("policy", err)
	}
	return o.transform(p, info), nil
}

func (o *AutoAugmentOptions) transform(p policy.Policy, info Info) AutoAugment {
	a := AutoAugment{Policy: p, Space: policy.Torchvision(info.In.W, info.In.H, policy.MostMagnitude+1)}
	if o.Ranges == "reference" {
		a.Space = policy.Reference(info.In.W, info.In.H)
	}
	a.Painter = policy.Painter{Filter: filters[o.Interpolation], Outside: fillColour(o.Fill, info)}
	return a
}
