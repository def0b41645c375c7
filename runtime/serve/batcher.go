package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ortrain/ortrain/runtime/classify"
)

var errStopped = errors.New("the server is stopping")

// batcher runs the inputs of concurrent requests together: a batch starts when
// it is full, when no other request is being made ready, or when its first
// input has waited for the longest delay. So a request on its own never waits;
// while a batch runs the next gathers.
type batcher struct {
	run     func(context.Context, ...*classify.Input) ([]classify.Answer, error)
	most    int
	delay   time.Duration
	metrics *metrics

	queue chan *job
	// expected counts the requests whose images are being made ready: each
	// calls expect, and then classify or forget.
	expected atomic.Int64
	// stop ends the runs; the loop ends when the queue is closed.
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}

	closing sync.RWMutex // held for reading while a job is put into the queue
	closed  bool
}

// job is one input and the place for its answer.
type job struct {
	ctx    context.Context
	input  *classify.Input
	queued time.Time
	result chan result // has room for the one result
}

type result struct {
	answer classify.Answer
	batch  int // how many ran together
	err    error
}

// newBatcher starts a batcher; room bounds the inputs that wait.
func newBatcher(run func(context.Context, ...*classify.Input) ([]classify.Answer, error), most int, delay time.Duration, room int, m *metrics) *batcher {
	b := &batcher{run: run, most: most, delay: delay, metrics: m, queue: make(chan *job, room), done: make(chan struct{})}
	b.ctx, b.stop = context.WithCancel(context.Background())
	go b.loop()
	return b
}

// expect announces a call of classify, for which a batch may wait.
func (b *batcher) expect() { b.expected.Add(1) }

// forget takes back expect.
func (b *batcher) forget() { b.expected.Add(-1) }

// classify waits for the answers to the inputs of one request. It returns the
// context's error when that is done first; the inputs are then dropped, unless
// they are running already.
func (b *batcher) classify(ctx context.Context, inputs []*classify.Input) ([]result, error) {
	jobs := make([]*job, len(inputs))
	for i, in := range inputs {
		if i == len(inputs)-1 {
			b.forget() // the last of them is coming
		}
		jobs[i] = &job{ctx: ctx, input: in, queued: time.Now(), result: make(chan result, 1)}
		if err := b.put(jobs[i]); err != nil {
			if i < len(inputs)-1 {
				b.forget()
			}
			return nil, err
		}
	}
	results := make([]result, len(jobs))
	for i, j := range jobs {
		select {
		case results[i] = <-j.result:
			if results[i].err != nil {
				return nil, results[i].err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return results, nil
}

func (b *batcher) put(j *job) error {
	b.closing.RLock()
	defer b.closing.RUnlock()
	if b.closed {
		return errStopped
	}
	select {
	case b.queue <- j:
		return nil
	case <-j.ctx.Done():
		return j.ctx.Err()
	}
}

// close lets what is queued finish, until the context is done.
func (b *batcher) close(ctx context.Context) {
	b.closing.Lock()
	if !b.closed {
		b.closed = true
		close(b.queue)
	}
	b.closing.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
	}
	b.stop()
	<-b.done
}

func (b *batcher) loop() {
	defer close(b.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for first := range b.queue {
		b.execute(b.collect(first, timer))
	}
}

// collect gathers a batch that begins with first.
func (b *batcher) collect(first *job, timer *time.Timer) []*job {
	batch := []*job{first}
	timer.Reset(max(0, b.delay-time.Since(first.queued)))
	defer timer.Stop()
	for len(batch) < b.most {
		// What is there already joins, whether the delay is over or not.
		select {
		case j, ok := <-b.queue:
			if !ok {
				return batch
			}
			batch = append(batch, j)
			continue
		default:
		}
		if b.expected.Load() <= 0 {
			return batch
		}
		select {
		case j, ok := <-b.queue:
			if !ok {
				return batch
			}
			batch = append(batch, j)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// execute runs a batch without those whose clients have gone, and hands out
// the answers.
func (b *batcher) execute(batch []*job) {
	jobs := batch[:0]
	for _, j := range batch {
		if err := j.ctx.Err(); err != nil {
			j.result <- result{err: err}
			continue
		}
		b.metrics.waited.Observe(time.Since(j.queued).Seconds())
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		return
	}
	inputs := make([]*classify.Input, len(jobs))
	for i, j := range jobs {
		inputs[i] = j.input
	}
	begun := time.Now()
	answers, err := b.guarded(inputs)
	b.metrics.ran.Observe(time.Since(begun).Seconds())
	b.metrics.batches.Observe(float64(len(jobs)))
	for i, j := range jobs {
		if err != nil {
			j.result <- result{err: err}
		} else {
			j.result <- result{answer: answers[i], batch: len(jobs)}
		}
	}
}

// guarded turns a panic into an error: one batch fails, not the server.
func (b *batcher) guarded(inputs []*classify.Input) (answers []classify.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	answers, err = b.run(b.ctx, inputs...)
	if err == nil && len(answers) != len(inputs) {
		err = fmt.Errorf("internal error: %d answers to %d inputs", len(answers), len(inputs))
	}
	return answers, err
}
