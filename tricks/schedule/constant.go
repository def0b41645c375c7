package schedule

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed constant.md
var constantCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "constant",
		Summary: "the base learning rate throughout",
		Card:    constantCard,
	}, func() Options { return &ConstantOptions{} })
}

// Constant is the same rate at every step.
type Constant float64

// LR implements Schedule.
func (c Constant) LR(int) float64 { return float64(c) }

// ConstantOptions has no keys.
type ConstantOptions struct{}

// Validate implements Options.
func (*ConstantOptions) Validate() error { return nil }

// Build implements Options.
func (*ConstantOptions) Build(s Span) (Schedule, error) { return Constant(s.LR), nil }
