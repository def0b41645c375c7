// Package stopping decides when a run has nothing more to gain.
package stopping

import "github.com/ortrain/ortrain/tricks"

// Rule is asked after every epoch. Its state is a plain struct that a
// checkpoint keeps.
type Rule interface {
	// Observe takes the held-out loss and accuracy of an epoch (from 0) and
	// updates the state.
	Observe(s *State, epoch int, loss, accuracy float64)
	// Stop reports whether the run should end now.
	Stop(s State) bool
	// RestoreBest tells whether the run should end with the best epoch's state
	// instead of the last one's.
	RestoreBest() bool
}

// State is what a rule remembers: the best epoch so far (from 0), its figure,
// and the number of epochs since then. The zero value is the start.
type State struct {
	Any  bool    `json:"any"`
	Best float64 `json:"best"`
	// BestEpoch is the epoch of Best, from 0.
	BestEpoch int `json:"best_epoch"`
	Since     int `json:"since"`
}

// Options are the settings of one rule as a recipe gives them.
type Options interface {
	Validate() error
	Build() Rule
}

// Rules is the registry of this package.
var Rules = tricks.NewRegistry[Options](tricks.Stopping)
