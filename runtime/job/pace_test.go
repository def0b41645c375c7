package job

import (
	"testing"
	"time"
)

// TestPace: a checkpoint is due when the time has passed, once, whatever the
// clock does in between.
func TestPace(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		name    string
		minutes float64
		reads   []time.Duration // of the clock, after 0 at the start
		due     []bool
	}{
		{"steady", 2, []time.Duration{minute, 2 * minute, 3 * minute, 4*minute - 1, 4 * minute}, []bool{false, true, false, false, true}},
		{"late", 2, []time.Duration{5 * minute, 6 * minute, 7 * minute}, []bool{true, false, true}},
		{"off", 0, []time.Duration{minute, 1000 * minute}, []bool{false, false}},
		{"fraction", 0.5, []time.Duration{minute / 2, minute}, []bool{true, true}},
		{"a year forwards", 2, []time.Duration{minute, 525600 * minute, 525601 * minute, 525602 * minute}, []bool{false, true, false, true}},
		{"a year back", 2, []time.Duration{minute, -525600 * minute, -525599 * minute, -525598 * minute, -525597 * minute}, []bool{false, false, false, true, false}},
	} {
		var now time.Duration
		p := newPace(c.minutes, func() time.Duration { return now })
		for i, at := range c.reads {
			now = at
			due := p.due()
			if due != c.due[i] {
				t.Errorf("%s: at %v due is %v", c.name, at, due)
			}
			if due {
				p.saved()
			}
		}
	}
}

// TestPaceIsMonotonic: the clock of a real run does not follow the wall.
func TestPaceIsMonotonic(t *testing.T) {
	p := newPace(1, nil)
	if now := p.clock(); now < 0 || now > time.Minute {
		t.Errorf("the clock says %v right after the start", now)
	}
	for before := p.clock(); ; {
		now := p.clock()
		if now < before {
			t.Fatalf("the clock goes back from %v to %v", before, now)
		}
		if now > before {
			break
		}
	}
}
