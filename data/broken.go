package data

import (
	"fmt"
	"slices"
)

// Broken images: where the options allow some, the nearest image after a
// broken one takes its place, drawn for as the broken one would have been, so
// that a batch depends on the files and on nothing else. What was broken is
// noted in the batch and told in the order of the run.

// brokenImage is one that could not be read.
type brokenImage struct {
	image int
	err   error
}

// substitute makes another image for one that could not be read, or returns
// why it may not.
func (l *Loader) substitute(b *Batch, position int, m *maker, dst planes, seed uint64, err error) error {
	if l.opt.SkipBroken == 0 {
		if m.encoded != nil {
			err = fmt.Errorf("%w; 'ortrain data verify' lists all such images, data.skip_broken=N goes on without up to N", err)
		}
		return err
	}
	number := b.Indices[position]
	at := b.at[position]
	for range l.opt.SkipBroken {
		b.note(brokenImage{b.Indices[position], err})
		if at = (at + 1) % l.set.Len(); at == b.at[position] {
			break
		}
		b.Indices[position], b.Labels[position] = l.set.At(at), l.set.Label(at)
		if err = m.make(dst, b.Indices[position], seed, b.Epoch, number); err == nil {
			return nil
		}
	}
	return err
}

func (b *Batch) note(i brokenImage) {
	b.failure.Lock()
	defer b.failure.Unlock()
	b.broken = append(b.broken, i)
}

func (l *Loader) know(image int) {
	if l.broken == nil {
		l.broken = map[int]bool{}
	}
	l.broken[image] = true
}

// tell reports the broken images of a batch that were not known, by their
// numbers, and fails when there are too many in all.
func (l *Loader) tell(b *Batch) error {
	slices.SortFunc(b.broken, func(x, y brokenImage) int { return x.image - y.image })
	for _, i := range b.broken {
		if l.broken[i.image] {
			continue
		}
		if len(l.broken) == l.opt.SkipBroken {
			return fmt.Errorf("%w; that is one more than the %d broken images that data.skip_broken allows", i.err, l.opt.SkipBroken)
		}
		l.know(i.image)
		b.Broken = append(b.Broken, i.image)
		if l.onBroken != nil {
			l.onBroken(i.err)
		}
	}
	return nil
}
