package job

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/ortrain/ortrain/data"
)

// A run that takes several steps at a time gets its batches in groups: stacked
// one behind the other in one piece of memory, which is put together while the
// step works on the group before.

// group is the batches of one run of several steps.
type group struct {
	n       int       // steps
	images  []float32 // nil in runs that take bytes
	bytes   []uint8
	targets []float32
	answers []float32 // of the teachers; nil without
	batch   int       // images of a batch
	notes   []string
	broken  []int // numbers of images that others stood for
	err     error
	// data and teacher are what its making waited for each.
	waited waits
}

// grouper makes groups ahead of the run. Its memory holds two: the one lent,
// and the next.
type grouper struct {
	supply *supply
	cancel context.CancelFunc
	done   chan struct{}
	made   chan *group
	free   chan *group
	// waits is what next has waited.
	waited waits
}

// newGrouper starts to make groups of up to size steps, none across the end of
// an epoch of perEpoch steps, from a position on.
func newGrouper(ctx context.Context, s *supply, size, perEpoch int, start data.Position) *grouper {
	g := &grouper{supply: s, done: make(chan struct{}), made: make(chan *group, 1), free: make(chan *group, 2)}
	g.free <- new(group)
	g.free <- new(group)
	ctx, g.cancel = context.WithCancel(ctx)
	go g.ahead(ctx, size, perEpoch, start.Batch)
	return g
}

func (g *grouper) ahead(ctx context.Context, size, perEpoch, at int) {
	defer close(g.done)
	defer close(g.made)
	for {
		var next *group
		select {
		case next = <-g.free:
		case <-ctx.Done():
			return
		}
		if at == perEpoch {
			at = 0
		}
		g.fill(ctx, next, min(size, perEpoch-at))
		at += next.n
		if next.err == io.EOF {
			return
		}
		select {
		case g.made <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			return
		}
	}
}

// fill stacks the next n batches.
func (g *grouper) fill(ctx context.Context, to *group, n int) {
	before := g.supply.waits()
	*to = group{images: to.images[:0], bytes: to.bytes[:0], targets: to.targets[:0], answers: to.answers[:0]}
	for to.n < n {
		l, err := g.supply.next(ctx)
		to.notes = append(to.notes, l.notes...)
		if err != nil {
			to.err = err
			return
		}
		b := l.batch
		if to.n == 0 { // so that memory is got once
			to.images = slices.Grow(to.images, n*len(b.Images))
			to.bytes = slices.Grow(to.bytes, n*len(b.Bytes))
			to.targets = slices.Grow(to.targets, n*len(b.Targets))
			to.answers = slices.Grow(to.answers, n*len(l.answers))
		}
		to.images = append(to.images, b.Images...)
		to.bytes = append(to.bytes, b.Bytes...)
		to.targets = append(to.targets, b.Targets...)
		to.answers = append(to.answers, l.answers...)
		to.broken = append(to.broken, b.Broken...)
		to.batch = b.Count
		to.n++
		l.release()
	}
	after := g.supply.waits()
	to.waited = waits{after.data - before.data, after.teacher - before.teacher}
}

// next lends the next group until its release. At the end it returns io.EOF.
func (g *grouper) next(ctx context.Context) (*group, error) {
	var n *group
	var ok bool
	select {
	case n, ok = <-g.made:
	default:
		begun := time.Now()
		select {
		case n, ok = <-g.made:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		g.wait(time.Since(begun), n)
	}
	if !ok {
		return nil, io.EOF
	}
	if n.err != nil {
		return n, n.err
	}
	return n, nil
}

// wait counts what was waited for a group, in the proportion in which its making
// waited for data and teachers.
func (g *grouper) wait(d time.Duration, n *group) {
	teacher := 0.0
	if n != nil {
		teacher = share(float64(n.waited.teacher), float64(n.waited.teacher+n.waited.data))
	}
	forTeacher := time.Duration(float64(d) * teacher)
	g.waited.teacher += forTeacher
	g.waited.data += d - forTeacher
}

func (g *grouper) release(n *group) { g.free <- n }

// close stops the making and waits for its goroutine, which belongs before the
// supply's own end. Closing twice is harmless.
func (g *grouper) close() {
	if g == nil {
		return
	}
	g.cancel()
	<-g.done
}
