package job

import "time"

// ForgetTuning makes the next run read the measurements anew.
func ForgetTuning() { tuned.Clear() }

// WithClock lets a test run the clock by which a run's checkpoints are timed.
func WithClock(c Config, clock func() time.Duration) Config {
	c.clock = clock
	return c
}
