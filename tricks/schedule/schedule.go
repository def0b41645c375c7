// Package schedule computes the learning rate of every optimizer step.
//
// A schedule is a pure function of the step t = 0, 1, …, so a resumed run
// sees the same rates as an uninterrupted one, and a plot needs no training.
// The few schedules that react to what a run measures implement Observer as
// well; their state is saved with SaveState.
package schedule

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Schedule gives the learning rate of optimizer step t ≥ 0. Steps beyond the
// planned end keep the last rate.
type Schedule interface {
	LR(step int) float64
}

// Span is the part of a run that a schedule covers.
type Span struct {
	// LR is the base rate, after linear scaling and the warm-up's multiplier.
	LR float64
	// Steps is the number of optimizer steps after the warm-up.
	Steps int
	// Offset is the number of warm-up steps before the schedule's step 0.
	// Schedules whose options count epochs from the start of the run add it.
	Offset int
	// StepsPerEpoch converts epochs to steps.
	StepsPerEpoch int
}

// InSteps converts epochs to the nearest number of steps.
func (s Span) InSteps(epochs float64) int { return inSteps(epochs, s.StepsPerEpoch) }

// within reports a length of an option, in epochs, that is more than the run, or
// the part of it that the schedule covers, has steps for.
func (s Span) within(key string, epochs float64, steps, most int) error {
	if steps <= most {
		return nil
	}
	return strict.Errorf(key, "%v epochs are longer than the %.4g epochs that the schedule has; shorten it or train longer",
		epochs, float64(most)/float64(s.StepsPerEpoch))
}

// mostEpochs bounds what a recipe may ask for.
const mostEpochs = 1_000_000

// inSteps keeps absurd lengths within an int.
func inSteps(epochs float64, stepsPerEpoch int) int {
	return int(math.Round(min(epochs*float64(stepsPerEpoch), 1<<50)))
}

// Options are the settings of one kind of schedule as a recipe gives them:
// a pointer to a struct with yaml tags. Errors are about a key of the struct
// (strict.Errorf).
type Options interface {
	// Validate checks the values on their own.
	Validate() error
	// Build returns the schedule over a span. The options are valid.
	Build(Span) (Schedule, error)
}

// Schedules and Warmups are the registries of this package; a schedule's file
// adds to them in its init function.
var (
	Schedules = tricks.NewRegistry[Options](tricks.Schedule)
	Warmups   = tricks.NewRegistry[WarmupOptions](tricks.Warmup)
)

// Plan is everything that determines a run's schedule.
type Plan struct {
	// LR is the base rate. With a multiplier in the warm-up, the peak is
	// their product.
	LR float64
	// Steps is the length of the whole run in optimizer steps.
	Steps         int
	StepsPerEpoch int
	// Warmup may be nil for none.
	Warmup WarmupOptions
	After  Options
}

// Build returns the schedule of a whole run: the warm-up and what follows it.
// It fails when the warm-up leaves no step for the schedule.
func (p Plan) Build() (Schedule, error) {
	if p.Steps < 1 || p.StepsPerEpoch < 1 {
		return nil, fmt.Errorf("a schedule of %d steps, %d per epoch: both must be positive", p.Steps, p.StepsPerEpoch)
	}
	span := Span{LR: p.LR, Steps: p.Steps, StepsPerEpoch: p.StepsPerEpoch}
	if p.Warmup != nil {
		span.Offset = p.Warmup.Length(p.StepsPerEpoch)
		span.LR *= p.Warmup.Peak()
		if span.Offset >= p.Steps {
			return nil, strict.Errorf("warmup", "takes %d steps but the run has only %d; shorten it or train longer", span.Offset, p.Steps)
		}
		span.Steps -= span.Offset
	}
	after, err := p.After.Build(span)
	if err != nil {
		return nil, err
	}
	if p.Warmup == nil {
		return after, nil
	}
	return p.Warmup.Wrap(span, after), nil
}

// LinearScaling returns base·batch/256, the rule for large batches of Goyal
// et al. 2017, "Accurate, Large Minibatch SGD", §2.1. batch is the global
// batch: over all workers and accumulation steps.
func LinearScaling(base float64, batch int) float64 { return base * float64(batch) / 256 }

// positive is the check most options need.
func positive(key string, v float64) error {
	if !(v > 0) {
		return strict.Errorf(key, "must be above 0, got %v", v)
	}
	return nil
}

func inUnit(key string, v float64) error {
	if !(v > 0 && v <= 1) {
		return strict.Errorf(key, "must be above 0 and at most 1, got %v", v)
	}
	return nil
}

func notNegative(key string, v float64) error {
	if !(v >= 0) {
		return strict.Errorf(key, "must not be negative, got %v", v)
	}
	return nil
}

// checkFloor refuses a floor above the rate that decays to it.
func checkFloor(floor float64, s Span) error {
	if floor > s.LR {
		return strict.Errorf("floor", "%v is above the learning rate %v", floor, s.LR)
	}
	return nil
}
