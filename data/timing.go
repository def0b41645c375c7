package data

import (
	"sync/atomic"
	"time"
)

// Timing adds up where a loader's time goes.
type Timing struct {
	// Wait is the time Next was blocked: what the data costs the training.
	Wait time.Duration
	// Idle is the time the loader was blocked because all batches were full:
	// how far it is ahead.
	Idle time.Duration
	// Work is the time all workers together were busy, the sum of the five
	// stages: reading, decoding (of images that are files), the transforms of
	// single images, targets, and mixing.
	Work, Read, Decode, Transform, Target, Mix time.Duration
	// Images and Batches count what has been made.
	Images, Batches int
}

// Sub returns the difference from an earlier timing of the same loader.
func (t Timing) Sub(earlier Timing) Timing {
	return Timing{
		Wait: t.Wait - earlier.Wait, Idle: t.Idle - earlier.Idle, Work: t.Work - earlier.Work,
		Read: t.Read - earlier.Read, Decode: t.Decode - earlier.Decode, Transform: t.Transform - earlier.Transform,
		Target: t.Target - earlier.Target, Mix: t.Mix - earlier.Mix,
		Images: t.Images - earlier.Images, Batches: t.Batches - earlier.Batches,
	}
}

// counters are the running sums behind a Timing.
type counters struct {
	wait, idle, read, decode, transform, target, mix atomic.Int64 // nanoseconds
	images, batches                                  atomic.Int64
}

func (c *counters) timing() Timing {
	t := Timing{
		Wait: time.Duration(c.wait.Load()), Idle: time.Duration(c.idle.Load()),
		Read: time.Duration(c.read.Load()), Decode: time.Duration(c.decode.Load()), Transform: time.Duration(c.transform.Load()),
		Target: time.Duration(c.target.Load()), Mix: time.Duration(c.mix.Load()),
		Images: int(c.images.Load()), Batches: int(c.batches.Load()),
	}
	t.Work = t.Read + t.Decode + t.Transform + t.Target + t.Mix
	return t
}
