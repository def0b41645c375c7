package stopping

import "testing"

// TestEarly follows a loss by hand: patience 2 stops after the second epoch
// that does not beat the best by more than min_delta.
func TestEarly(t *testing.T) {
	e := Early{Metric: Loss, Patience: 2, MinDelta: 0.1}
	var s State
	for epoch, c := range []struct {
		loss  float64
		since int
		stop  bool
	}{{2, 0, false}, {1.5, 0, false}, {1.45, 1, false}, {1.3, 0, false}, {1.25, 1, false}, {1.3, 2, true}} {
		e.Observe(&s, epoch, c.loss, 0)
		if s.Since != c.since || e.Stop(s) != c.stop {
			t.Errorf("epoch %d: %d since the best, stop %v", epoch, s.Since, e.Stop(s))
		}
	}
	if s.BestEpoch != 3 || s.Best != 1.3 {
		t.Errorf("best %v in epoch %d", s.Best, s.BestEpoch)
	}
}

func TestEarlyByAccuracy(t *testing.T) {
	e := Early{Metric: Accuracy, Patience: 1}
	var s State
	e.Observe(&s, 0, 9, 0)
	e.Observe(&s, 1, 9, 0.5)
	if e.Stop(s) {
		t.Error("stopped at an improvement")
	}
	e.Observe(&s, 2, 1, 0.5)
	if !e.Stop(s) {
		t.Error("went on without an improvement")
	}
}

func TestEarlyValidate(t *testing.T) {
	for _, o := range []EarlyOptions{
		{Metric: "acuracy", Patience: 1}, {Metric: Loss}, {Metric: Loss, Patience: 1, MinDelta: -1},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}
