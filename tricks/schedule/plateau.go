package schedule

import (
	_ "embed" // the card
	"encoding/json"
	"fmt"
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed plateau.md
var plateauCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "plateau",
		Summary: "times factor whenever a metric has stopped improving",
		Card:    plateauCard,
	}, func() Options {
		return &PlateauOptions{Metric: TrainLoss, Factor: 0.1, Patience: 10, Threshold: 1e-4}
	})
}

// Plateau multiplies the rate by Factor, never below Floor, when Metric has
// not improved on its best by the relative Threshold for more than Patience
// observations in a row; Cooldown observations after a reduction do not count
// (PyTorch's ReduceLROnPlateau in mode "min", threshold_mode "rel").
type Plateau struct {
	PlateauOptions
	Base float64

	state plateauState
}

// plateauState is what a checkpoint holds.
type plateauState struct {
	Improved int     `json:"improved"` // improvements so far
	Best     float64 `json:"best"`
	Bad      int     `json:"bad"`     // observations without improvement
	Cooling  int     `json:"cooling"` // observations left to ignore
	Drops    []drop  `json:"drops"`   // ascending
}

type drop struct {
	Step int     `json:"step"`
	LR   float64 `json:"lr"`
}

// LR implements Schedule.
func (p *Plateau) LR(step int) float64 {
	lr := p.Base
	for _, d := range p.state.Drops {
		if step >= d.Step {
			lr = d.LR
		}
	}
	return lr
}

// Watches implements Observer.
func (p *Plateau) Watches() string { return p.Metric }

// Observe implements Observer. Metrics without Metric, and those measured
// before the schedule's own step 0, are ignored.
func (p *Plateau) Observe(step int, m Metrics) {
	v, ok := m[p.Metric]
	if !ok || step < 0 {
		return
	}
	s := &p.state
	finite := !math.IsNaN(v) && !math.IsInf(v, 0)
	if finite && (s.Improved == 0 || v < s.Best*(1-p.Threshold)) {
		s.Best, s.Bad = v, 0
		s.Improved++
	} else {
		s.Bad++
	}
	if s.Cooling > 0 {
		s.Cooling--
		s.Bad = 0
	}
	if s.Bad <= p.Patience {
		return
	}
	s.Bad, s.Cooling = 0, p.Cooldown
	old := p.Base
	if n := len(s.Drops); n > 0 {
		old = s.Drops[n-1].LR
	}
	if lr := max(old*p.Factor, p.Floor); old-lr > 1e-8 {
		s.Drops = append(s.Drops, drop{step, lr})
	}
}

// MarshalJSON implements Observer.
func (p *Plateau) MarshalJSON() ([]byte, error) { return json.Marshal(p.state) }

// UnmarshalJSON implements Observer.
func (p *Plateau) UnmarshalJSON(text []byte) error {
	var s plateauState
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("plateau: %w", err)
	}
	p.state = s
	return nil
}

// PlateauOptions are the recipe keys of a plateau schedule.
type PlateauOptions struct {
	// Metric is the name of the metric to watch; smaller is better.
	Metric string `yaml:"metric"`
	// Factor is in (0, 1).
	Factor float64 `yaml:"factor"`
	// Patience and Cooldown count observations, one per epoch.
	Patience int `yaml:"patience"`
	Cooldown int `yaml:"cooldown"`
	// Threshold is the relative improvement that counts, in [0, 1).
	Threshold float64 `yaml:"threshold"`
	// Floor is the lowest rate.
	Floor float64 `yaml:"floor"`
}

// Validate implements Options.
func (o *PlateauOptions) Validate() error {
	metrics := []string{TrainLoss, TrainError, ValidationLoss, ValidationError}
	known := false
	for _, m := range metrics {
		known = known || m == o.Metric
	}
	switch {
	case !known:
		return strict.Errorf("metric", "unknown metric %q%s", o.Metric, nearest.Hint(o.Metric, metrics))
	case !(o.Factor > 0 && o.Factor < 1):
		return strict.Errorf("factor", "must be above 0 and below 1, got %v", o.Factor)
	case o.Patience < 0:
		return strict.Errorf("patience", "must not be negative, got %d", o.Patience)
	case o.Cooldown < 0:
		return strict.Errorf("cooldown", "must not be negative, got %d", o.Cooldown)
	case !(o.Threshold >= 0 && o.Threshold < 1):
		return strict.Errorf("threshold", "must be at least 0 and below 1, got %v", o.Threshold)
	}
	return notNegative("floor", o.Floor)
}

// Build implements Options.
func (o *PlateauOptions) Build(s Span) (Schedule, error) {
	if err := checkFloor(o.Floor, s); err != nil {
		return nil, err
	}
	return &Plateau{PlateauOptions: *o, Base: s.LR}, nil
}
