package schedule

import (
	"encoding/json"
	"fmt"
)

// Metrics are what a run has measured, by name; a name that is absent was not
// measured.
type Metrics map[string]float64

// The names of the metrics. Errors are fractions in [0, 1].
const (
	TrainLoss       = "train_loss"
	TrainError      = "train_error"
	ValidationLoss  = "validation_loss"
	ValidationError = "validation_error"
)

// Observer is a schedule that also reacts to measurements. Its LR is a pure
// function of the step and of what it has observed, and its state, as JSON,
// belongs in a checkpoint. Observe is called between steps, usually after
// every epoch, never concurrently with LR.
type Observer interface {
	Schedule
	// Observe takes the metrics measured before the given step is run.
	Observe(step int, m Metrics)
	// Watches names the metric that it reacts to.
	Watches() string
	json.Marshaler
	json.Unmarshaler
}

// Wrapper is a schedule that contains another, as a warm-up does.
type Wrapper interface {
	// Unwrap returns the contained schedule and the step at which its own
	// step 0 lies.
	Unwrap() (after Schedule, start int)
}

// Observe passes the metrics measured before the given step to every observer
// in s: s itself and whatever it wraps, from the outside in. Each is told the
// step on its own clock, which is negative before its start.
func Observe(s Schedule, step int, m Metrics) {
	walk(s, func(o Observer, start int) { o.Observe(step-start, m) })
}

// WatchesSteps reports whether s reacts to what single training steps measure,
// and not only to what is measured after an epoch.
func WatchesSteps(s Schedule) bool {
	for _, o := range observers(s) {
		if m := o.Watches(); m == TrainLoss || m == TrainError {
			return true
		}
	}
	return false
}

// walk visits the observers in s with the step at which each starts.
func walk(s Schedule, visit func(o Observer, start int)) {
	for start := 0; s != nil; {
		if o, ok := s.(Observer); ok {
			visit(o, start)
		}
		w, ok := s.(Wrapper)
		if !ok {
			return
		}
		inner, shift := w.Unwrap()
		s, start = inner, start+shift
	}
}

func observers(s Schedule) []Observer {
	var all []Observer
	walk(s, func(o Observer, _ int) { all = append(all, o) })
	return all
}

// SaveState returns the state of the observers in s as JSON, or nil if there
// are none.
func SaveState(s Schedule) (json.RawMessage, error) {
	all := observers(s)
	if len(all) == 0 {
		return nil, nil
	}
	return json.Marshal(all)
}

// LoadState restores what SaveState returned for an equal schedule.
func LoadState(s Schedule, state json.RawMessage) error {
	all := observers(s)
	var parts []json.RawMessage
	if len(state) > 0 {
		if err := json.Unmarshal(state, &parts); err != nil {
			return fmt.Errorf("schedule state: %w", err)
		}
	}
	if len(parts) != len(all) {
		return fmt.Errorf("schedule state: saved for %d observers, the schedule has %d", len(parts), len(all))
	}
	for i, o := range all {
		if err := o.UnmarshalJSON(parts[i]); err != nil {
			return fmt.Errorf("schedule state: %w", err)
		}
	}
	return nil
}
