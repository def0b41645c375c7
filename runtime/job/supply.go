package job

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
)

// supply hands a run its batches in order, each with its teachers' answers
// where there are teachers.
//
// The teachers run ahead of the step in a goroutine of their own: while the
// step works on one batch, the answers to the next lie ready and those to the
// one after it are being made. So at most three of the loader's batches are out
// at a time, and it fills the fourth. The answers are a function of the batch
// alone; when they are made changes nothing.
type supply struct {
	loader   *data.Loader
	teachers *runtime.Ensemble // nil without
	cache    *answerCache      // nil without

	cancel  context.CancelFunc
	done    chan struct{}
	lessons chan lesson
	free    chan []float32

	// broken are notes on images that the loader left out; they belong to
	// whoever asks it for batches.
	broken []string

	// dataWait and teacherWait are what next has waited for each.
	dataWait, teacherWait time.Duration

	groups *grouper // of a run that takes several steps at a time, or nil
}

// lesson is a batch with the answers of the teachers, n×Row.
type lesson struct {
	batch   *data.Batch
	answers []float32 // nil without teachers
	// asked and got are when the loader was asked for the batch and gave it.
	asked, got time.Time
	notes      []string // for the person at the terminal
	err        error
	s          *supply
}

// inFlight is how many batches have answers, made or being made.
const inFlight = 3

// newSupply takes over the loader, and closes it with itself.
func newSupply(ctx context.Context, loader *data.Loader, teachers *runtime.Ensemble, cache *answerCache, batch int) *supply {
	s := &supply{loader: loader, teachers: teachers, cache: cache, cancel: func() {}}
	loader.OnBroken(func(err error) { s.broken = append(s.broken, leftOut(err)) })
	if teachers == nil {
		return s
	}
	s.free = make(chan []float32, inFlight)
	for range inFlight {
		s.free <- make([]float32, batch*teachers.Row())
	}
	s.lessons, s.done = make(chan lesson, inFlight-2), make(chan struct{})
	ctx, s.cancel = context.WithCancel(ctx)
	go s.ahead(ctx)
	return s
}

// ahead makes lessons until the loader ends, something fails, or ctx is done.
func (s *supply) ahead(ctx context.Context) {
	defer close(s.done)
	defer close(s.lessons)
	for {
		var answers []float32
		select {
		case answers = <-s.free:
		case <-ctx.Done():
			return
		}
		l := s.make(ctx, answers)
		select {
		case s.lessons <- l:
		case <-ctx.Done():
			l.release()
			return
		}
		if l.err != nil {
			return
		}
	}
}

func (s *supply) make(ctx context.Context, answers []float32) lesson {
	l := lesson{s: s, asked: time.Now()}
	l.batch, l.err = s.loader.Next(ctx)
	l.notes = s.toldBroken()
	if l.got = time.Now(); l.err != nil {
		return l
	}
	l.answers = answers[:l.batch.Count*s.teachers.Row()]
	if s.cache != nil {
		var notes []string
		notes, l.err = s.cache.answer(ctx, l.answers, l.batch)
		l.notes = append(l.notes, notes...)
	} else {
		l.err = s.teachers.Answer(ctx, l.answers, l.batch.Normalised(), l.batch.Count)
	}
	if l.err != nil {
		l.batch.Release()
		l.batch = nil
	}
	return l
}

// release gives the lesson's memory back.
func (l lesson) release() {
	if l.batch == nil {
		return
	}
	l.batch.Release()
	if l.answers != nil {
		l.s.free <- l.answers[:cap(l.answers)] // never blocks: it holds them all
	}
}

// next lends the next lesson until its release. At the end it returns io.EOF.
func (s *supply) next(ctx context.Context) (lesson, error) {
	if s.teachers == nil {
		before := s.loader.Timing().Wait
		b, err := s.loader.Next(ctx)
		s.dataWait += s.loader.Timing().Wait - before
		return lesson{batch: b, notes: s.toldBroken(), s: s}, err
	}
	select {
	case l, ok := <-s.lessons:
		return s.taken(l, ok)
	default:
	}
	begun := time.Now()
	var l lesson
	var ok bool
	select {
	case l, ok = <-s.lessons:
	case <-ctx.Done():
		return l, ctx.Err()
	}
	end := time.Now()
	// Of the wait, what passed before the batch was there is the loader's.
	data := overlap(begun, end, l.asked, l.got)
	s.dataWait += data
	s.teacherWait += end.Sub(begun) - data
	return s.taken(l, ok)
}

func (s *supply) taken(l lesson, ok bool) (lesson, error) {
	if !ok {
		return l, io.EOF
	}
	return l, l.err
}

// overlap is how long two spans of time have in common.
func overlap(a0, a1, b0, b1 time.Time) time.Duration {
	if b0.After(a0) {
		a0 = b0
	}
	if b1.Before(a1) {
		a1 = b1
	}
	return max(0, a1.Sub(a0))
}

// leftOut is the note on a broken image.
func leftOut(err error) string { return fmt.Sprintf("left out: %v", err) }

// toldBroken returns the notes that have come up since the last call.
func (s *supply) toldBroken() []string {
	notes := s.broken
	s.broken = nil
	return notes
}

// report says what the loader did since an earlier state of both sums, and how
// long the step waited for it.
func (s *supply) report(timing data.Timing, before waits, elapsed time.Duration) data.Report {
	r := s.loader.Report(timing, elapsed)
	r.Wait = s.waited().data - before.data
	return r
}

// waits is what was waited for data and for teachers.
type waits struct{ data, teacher time.Duration }

// waits is what next has waited.
func (s *supply) waits() waits { return waits{s.dataWait, s.teacherWait} }

// waited is what the run has waited: for batches, or for groups of them.
func (s *supply) waited() waits {
	if s.groups != nil {
		return s.groups.waited
	}
	return s.waits()
}

// Close stops the teachers and the loader and waits for their goroutines.
// Closing twice is harmless.
func (s *supply) Close() {
	s.groups.close()
	s.cancel()
	if s.done != nil {
		<-s.done
	}
	s.loader.Close()
}
