package packed

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
)

// Part is an opened part of a pack. It is safe for concurrent use until it is
// closed.
type Part struct {
	manifest *Manifest
	dir      string
	info     *PartInfo
	index    *index
	record   int      // bytes of a raw image
	first    []int    // image of each shard
	base     []uint64 // byte of each shard in all the shards' bytes
	shards   [][]byte
	mapped   []*mapping
}

// Open maps a part of the pack in a folder. Errors name the file.
func (m *Manifest) Open(dir, part string) (*Part, error) {
	info := m.Parts[part]
	if info == nil {
		return nil, fmt.Errorf("%s has no part %q", filepath.Join(dir, ManifestFile), part)
	}
	p := &Part{manifest: m, dir: dir, info: info, record: m.record()}
	if err := p.open(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Part) open() error {
	b, err := p.attach(p.info.Index)
	if err != nil {
		return err
	}
	if err := guard(func() (err error) {
		p.index, err = parseIndex(b, p.info.Images, p.manifest.Pixels == File, len(p.manifest.Classes))
		return err
	}); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(p.dir, p.info.Index.Name), err)
	}
	image, at := 0, uint64(0)
	for _, s := range p.info.Shards {
		b, err := p.attach(s.FileInfo)
		if err != nil {
			return err
		}
		p.first, p.base, p.shards = append(p.first, image), append(p.base, at), append(p.shards, b)
		image, at = image+s.Images, at+uint64(s.Bytes)
	}
	return nil
}

// attach maps a file of the size that the manifest says.
func (p *Part) attach(f FileInfo) ([]byte, error) {
	path := filepath.Join(p.dir, f.Name)
	m, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	p.mapped = append(p.mapped, m)
	if int64(len(m.data)) != f.Bytes {
		return nil, fmt.Errorf("%s has %d bytes instead of %d; copy it anew or pack the set again", path, len(m.data), f.Bytes)
	}
	return m.data, nil
}

// Len returns the number of images.
func (p *Part) Len() int { return p.info.Images }

// Label returns the label of image i, below the number of classes.
func (p *Part) Label(i int) int { return p.index.label(i) }

// Counts returns how many images each class has.
func (p *Part) Counts() []int { return slices.Clone(p.index.counts) }

// Name names image i by the name it had before it was packed, its shard and
// its number in the part.
func (p *Part) Name(i int) string {
	where := fmt.Sprintf("%s image %d", filepath.Join(p.dir, p.info.Shards[p.shard(i)].Name), i)
	name := ""
	if guard(func() error { name = p.index.name(i); return nil }) != nil || name == "" {
		return where
	}
	return where + " (" + name + ")"
}

// Original returns the name that image i had before it was packed.
func (p *Part) Original(i int) string {
	name := ""
	guard(func() error { name = p.index.name(i); return nil })
	return name
}

func (p *Part) shard(i int) int { return sort.SearchInts(p.first, i+1) - 1 }

// Bytes returns image i: mapped memory, which must not be written to and is
// valid until Close. Its checksum is verified. The error does not name the
// image.
func (p *Part) Bytes(i int) (b []byte, err error) {
	err = guard(func() error {
		s := p.shard(i)
		from, to := p.index.span(i, p.record)
		base := p.base[s]
		if from < base || to < from || to-base > uint64(len(p.shards[s])) {
			return errors.New("the index is damaged: the image lies outside its shard; copy the index anew")
		}
		b = p.shards[s][from-base : to-base : to-base]
		if crc32.Checksum(b, table) != p.index.sum(i) {
			return ErrChecksum
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ErrChecksum is the error of an image whose bytes have changed.
var ErrChecksum = errors.New("the shard is damaged: the image's checksum differs; copy the shard anew or pack the set again")

// Close ends the mapping.
func (p *Part) Close() error {
	var errs []error
	for _, m := range p.mapped {
		errs = append(errs, m.close())
	}
	p.mapped, p.shards, p.index = nil, nil, nil
	return errors.Join(errs...)
}

// guard turns a fault on mapped memory, as when the file has been cut or the
// disk fails, into an error.
func guard(read func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			if fault, ok := r.(interface{ Addr() uintptr }); !ok || fault == nil {
				panic(r)
			}
			err = errors.New("the file cannot be read any more: it has been cut off, or the disk fails")
		}
	}()
	return read()
}
