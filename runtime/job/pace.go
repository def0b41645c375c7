package job

import "time"

// pace says when the next checkpoint by time is due.
//
// It reads a clock that only counts the time that passes, so that setting the
// machine's clock neither brings a storm of checkpoints nor keeps one away. A
// clock that jumps all the same costs one checkpoint too early or one interval.
type pace struct {
	every time.Duration // 0: never
	clock func() time.Duration
	last  time.Duration // when the last checkpoint was written
}

// newPace starts the time until the first checkpoint.
func newPace(minutes float64, clock func() time.Duration) pace {
	if clock == nil {
		begun := time.Now() // with its monotonic reading, which Since takes
		clock = func() time.Duration { return time.Since(begun) }
	}
	return pace{every: time.Duration(minutes * float64(time.Minute)), clock: clock, last: clock()}
}

// due tells whether it is time for a checkpoint.
func (p *pace) due() bool {
	if p.every <= 0 {
		return false
	}
	now := p.clock()
	if now < p.last {
		p.last = now // a clock that went back
	}
	return now-p.last >= p.every
}

// saved begins the time until the next one.
func (p *pace) saved() {
	if p.every > 0 {
		p.last = p.clock()
	}
}
