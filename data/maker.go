package data

import (
	"fmt"
	"strings"
	"time"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// maker makes images; every worker of a loader has one. Once warm it does not
// allocate.
type maker struct {
	source  Source
	encoded Encoded // the source, if its images are files
	options decode.Options
	worker  *pixel.Worker

	image pixel.Image // of sources that decode by themselves
	part  pixel.Part
	file  []byte

	// The times of the last image's first stages; the rest is its transforms'.
	// Images that need no decoding are too quick to time each: see fill.
	read, decode time.Duration
	timing       bool
}

func newMaker(set *Subset, chain *pixel.Chain) *maker {
	m := &maker{source: set.Source, worker: chain.NewWorker()}
	m.worker.Pair(&partners{set: set})
	m.encoded, _ = set.Source.(Encoded)
	m.options.Grey = set.Source.Size().C == 1
	return m
}

// gap is how many times as large as needed a photograph has to stay when it is
// decoded smaller: the mean of its pixels and the filter that follows are then
// together as good as the filter alone (as Pillow's reducing_gap of 2).
const gap = 2

// make writes the planes of an image to dst. The draws are those of seed,
// epoch and number, which is the image's own unless it stands for another.
func (m *maker) make(dst planes, image int, seed uint64, epoch, number int) error {
	if m.encoded == nil {
		var begun time.Time
		if m.timing {
			begun = time.Now()
		}
		if err := m.source.Read(image, &m.image); err != nil {
			return fmt.Errorf("image %d: %w", image, err)
		}
		if m.timing {
			m.read = time.Since(begun)
		}
		dst.apply(m.worker, &m.image, seed, epoch, number)
		return nil
	}
	begun := time.Now()
	file, err := m.encoded.Bytes(image, m.file)
	if err != nil {
		return m.named(image, err)
	}
	if len(file) > cap(m.file) {
		// The source may own what it returned, so the room for the next file
		// is made here.
		m.file = make([]byte, 0, len(file)+len(file)/4)
	}
	m.read = time.Since(begun)
	head, err := decode.Info(file)
	if err != nil {
		return m.named(image, err)
	}
	m.worker.Sample(pixel.Size{W: head.W, H: head.H, C: m.source.Size().C}, seed, epoch, number)
	w := m.worker.Wants()
	err = decode.Part(&m.part, file, m.options, decode.Window{X: w.X, Y: w.Y, W: w.W, H: w.H}, gap*w.OutW, gap*w.OutH)
	if err != nil {
		return m.named(image, err)
	}
	m.decode = time.Since(begun) - m.read
	dst.applyPart(m.worker, &m.part)
	return nil
}

// named makes an error name the image, if it does not.
func (m *maker) named(image int, err error) error {
	if name := m.encoded.Name(image); !strings.HasPrefix(err.Error(), name) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// name tells a person which image it is.
func (m *maker) name(image int) string {
	if m.encoded != nil {
		return m.encoded.Name(image)
	}
	return fmt.Sprintf("image %d", image)
}

// fill makes the images of one task.
func (l *Loader) fill(t task, m *maker) {
	b, position := t.batch, t.from
	defer func() {
		if r := recover(); r != nil {
			doing := m.worker.Doing()
			if doing == "" {
				doing = "read"
			}
			b.fail(position, fmt.Errorf("%s, epoch %d: %s: panic: %v", m.name(b.Indices[position]), b.Epoch, doing, r))
		}
	}()
	begun, dst := time.Now(), b.filled()
	var read, decode time.Duration
	for ; position < t.to; position++ {
		to, number := dst.cut(position*l.values, (position+1)*l.values), b.Indices[position]
		seed := repetitionSeed(l.opt.Seed, b.repeat[position])
		m.timing = position == t.from
		err := m.make(to, number, seed, b.Epoch, number)
		if err != nil {
			err = l.substitute(b, position, m, to, seed, err)
		}
		if err != nil {
			b.fail(position, err)
			return
		}
		read += m.read // of the first image again and again, if it alone is timed
		decode += m.decode
	}
	l.sums.read.Add(int64(read))
	l.sums.decode.Add(int64(decode))
	l.sums.transform.Add(max(0, int64(time.Since(begun)-read-decode)))
	l.sums.images.Add(int64(t.to - t.from))
}
