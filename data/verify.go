package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/data/packed"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Verification is what Verify found.
type Verification struct {
	// Images is the number of images that were looked at.
	Images int `json:"images"`
	// Broken are the files that training could not use; Noted those that it
	// can but that may be a mistake: wrongly named files and duplicates.
	Broken []files.Problem `json:"broken"`
	Noted  []files.Problem `json:"noted"`
}

// Verify reads and decodes every image of a data set, or of a format, and
// lists all that is wrong. It fails only when nothing can be said: an unknown
// name, a folder that is not there, ctx. progress may be nil.
func Verify(ctx context.Context, o Options, progress func(done, total int)) (*Verification, error) {
	d, err := Lookup(o.Name)
	if err != nil {
		return nil, err
	}
	v := &verifier{ctx: ctx, progress: progress, seen: map[[16]byte]place{}}
	if d.Name == "packed" {
		if v.found.Broken, err = packed.Check(ctx, packFolder(o.Dir), nil); err != nil {
			return nil, err
		}
	}
	o.SkipBroken, o.Limit, o.Validation = int(^uint(0)>>1), 0, 0
	set, err := Open(o)
	if err != nil {
		if len(v.found.Broken) > 0 {
			return &v.found, nil // which is why
		}
		return nil, err
	}
	v.found.Broken = append(v.found.Broken, set.Problems...)
	v.parts = []*Subset{set.Train, set.Validation, set.Test}
	for _, p := range v.parts {
		if p != nil {
			v.total += p.Len()
		}
	}
	for i, p := range v.parts {
		if p == nil {
			continue
		}
		if err := v.part(i, p); err != nil {
			return nil, err
		}
	}
	v.found.Images = v.total
	return &v.found, nil
}

// place is an image: its part, its position there, its label.
type place struct{ part, at, label int }

type verifier struct {
	ctx         context.Context
	progress    func(done, total int)
	parts       []*Subset
	seen        map[[16]byte]place
	found       Verification
	done, total int
}

// examined is what is known of one image.
type examined struct {
	sum    [16]byte
	read   bool // sum is set
	broken files.Problem
	noted  files.Problem
}

// part examines the images of a part, some at a time in parallel, and judges
// them in order.
func (v *verifier) part(number int, s *Subset) error {
	workers := runtime.GOMAXPROCS(0)
	out := make([]examined, 32*workers)
	for first := 0; first < s.Len(); first += len(out) {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		n := min(len(out), s.Len()-first)
		var next atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				var e examiner
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					out[i] = e.examine(s.Source, s.At(first+i))
				}
			})
		}
		wg.Wait()
		for i := range n {
			v.judge(place{number, first + i, s.Label(first + i)}, &out[i])
		}
		v.done += n
		if v.progress != nil {
			v.progress(v.done, v.total)
		}
	}
	return nil
}

func (v *verifier) judge(p place, e *examined) {
	if e.broken.Kind != "" {
		v.found.Broken = append(v.found.Broken, e.broken)
	}
	if e.noted.Kind != "" {
		v.found.Noted = append(v.found.Noted, e.noted)
	}
	if !e.read {
		return
	}
	first, again := v.seen[e.sum]
	if !again {
		v.seen[e.sum] = p
		return
	}
	detail := "holds the same bytes as " + v.name(first)
	switch {
	case first.label != p.label:
		classes := v.parts[p.part].Source.Classes()
		detail += fmt.Sprintf(", which is labelled %s instead of %s", classes[first.label], classes[p.label])
	case first.part != p.part:
		detail += ", of another part of the set"
	}
	v.found.Noted = append(v.found.Noted, files.Problem{Path: v.name(p), Kind: files.Duplicate, Detail: detail})
}

func (v *verifier) name(p place) string {
	s := v.parts[p.part]
	return NameOf(s.Source, s.At(p.at))
}

// examiner is a worker's memory.
type examiner struct{ img pixel.Image }

func (e *examiner) examine(s Source, i int) (x examined) {
	name := NameOf(s, i)
	broken := func(kind, detail string) examined {
		x.broken = files.Problem{Path: name, Kind: kind, Detail: detail}
		return x
	}
	defer func() {
		if r := recover(); r != nil {
			x = broken(files.Damaged, fmt.Sprintf("the decoder failed: %v", r))
		}
	}()
	enc, ok := s.(Encoded)
	if !ok {
		if err := s.Read(i, &e.img); err != nil {
			return broken(kindOf(err), bare(err, name))
		}
		x.sum, x.read = fingerprint(e.img.Pix), true
		return x
	}
	file, err := enc.Bytes(i, nil)
	if err != nil {
		return broken(kindOf(err), bare(err, name))
	}
	x.sum, x.read = fingerprint(file), true
	head, err := decode.Info(file)
	if err != nil {
		return broken(files.Damaged, err.Error())
	}
	if tooLarge(head) {
		return broken(files.Huge, fmt.Sprintf("declares %d×%d pixels; at most %d megapixels are decoded", head.W, head.H, decode.MaxPixels>>20))
	}
	if err := decode.Image(&e.img, file, decode.Options{}); err != nil {
		return broken(files.Damaged, err.Error())
	}
	if said := promised(s, i); said != "" && said != head.Format {
		x.noted = files.Problem{Path: name, Kind: files.Misnamed, Detail: fmt.Sprintf("is a %s file, not %s", head.Format, said)}
	}
	return x
}

// tooLarge tells whether an image is refused before memory is taken for it.
func tooLarge(h decode.Header) bool { return h.W < 1 || h.H < 1 || h.W > decode.MaxPixels/h.H }

// promised is the format that the image's file name promises, if it has one.
func promised(s Source, i int) string {
	if _, ok := s.(*packedFiles); ok {
		return "" // named after the files that they were made of
	}
	return files.Format(filepath.Base(NameOf(s, i)))
}

// kindOf sorts an error of reading.
func kindOf(err error) string {
	switch {
	case errors.Is(err, errEmpty):
		return files.Empty
	case errors.Is(err, packed.ErrChecksum):
		return files.Checksum
	case errors.Is(err, syscall.ELOOP):
		return files.SymlinkLoop
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return files.Unreadable
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return files.Unreadable
	}
	return files.Damaged
}

// bare leaves out the name that the problem gives anyway.
func bare(err error, name string) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return "cannot be read: " + pe.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), name+": ")
}

func fingerprint(b []byte) (sum [16]byte) {
	full := sha256.Sum256(b)
	copy(sum[:], full[:])
	return sum
}

// Kinds counts problems by their kind, most frequent first.
func Kinds(problems []files.Problem) []KindCount {
	counts := map[string]int{}
	for _, p := range problems {
		counts[p.Kind]++
	}
	var out []KindCount
	for k, n := range counts {
		out = append(out, KindCount{k, n})
	}
	slices.SortFunc(out, func(a, b KindCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

// KindCount is how many problems of a kind there are.
type KindCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}
