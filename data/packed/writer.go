package packed

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/data/files"
)

// Writer writes a pack: Begin starts a part, Add appends its images, Commit
// completes the pack. Until then everything is in a folder of another name
// beside the final one, so that there is never a half pack; Abort removes it.
type Writer struct {
	manifest Manifest
	dir, tmp string
	most     int64 // bytes of a shard

	part   string
	info   *PartInfo
	shard  *file
	number int // of shards
	labels files.Labels
	end    uint64 // of the last image in the shards' bytes
	chars  uint64 // of all names

	// The index's other columns, in files of their own until the part ends:
	// an index may be larger than the memory.
	sums, ends, named, names *file
}

// file is a file being written.
type file struct {
	*os.File
	buffer *bufio.Writer
	bytes  int64
	crc    uint32
}

// NewWriter begins a pack in a folder that does not exist yet or is empty.
// Shards end once they have shardBytes.
func NewWriter(dir string, m Manifest, shardBytes int64) (*Writer, error) {
	m.Format, m.Version, m.Parts = format, version, map[string]*PartInfo{}
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return nil, fmt.Errorf("%s is not empty; give a new folder", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot pack into %s: %w", dir, atomicfile.Cause(err))
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("cannot pack into %s: %w", dir, atomicfile.Cause(err))
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot pack into %s: %w", dir, atomicfile.Cause(err))
	}
	return &Writer{manifest: m, dir: dir, tmp: tmp, most: max(shardBytes, 1)}, nil
}

// problem words an error of writing.
func (w *Writer) problem(err error) error {
	return fmt.Errorf("cannot write %s: %w; nothing is left of it", w.dir, atomicfile.Cause(err))
}

// Begin starts a part.
func (w *Writer) Begin(part string) error {
	if err := w.endPart(); err != nil {
		return w.problem(err)
	}
	w.part, w.info, w.number = part, &PartInfo{}, 0
	w.labels, w.end, w.chars = files.Labels{}, 0, 0
	for name, column := range w.columns() {
		f, err := w.create(".column-" + name)
		if err != nil {
			return w.problem(err)
		}
		*column = f
	}
	return nil
}

func (w *Writer) columns() map[string]**file {
	return map[string]**file{"sums": &w.sums, "ends": &w.ends, "named": &w.named, "names": &w.names}
}

// Add appends an image to the part: raw pixels of the manifest's size, or a
// file. name is what it was called before.
func (w *Writer) Add(label int, name string, image []byte) error {
	if w.manifest.Pixels == Raw && len(image) != w.manifest.record() {
		return fmt.Errorf("packed: an image of %d bytes instead of %d", len(image), w.manifest.record())
	}
	if err := w.add(label, name, image); err != nil {
		return w.problem(err)
	}
	return nil
}

func (w *Writer) add(label int, name string, image []byte) error {
	if w.shard != nil && w.shard.bytes >= w.most {
		if err := w.endShard(); err != nil {
			return err
		}
	}
	if w.shard == nil {
		f, err := w.create(fmt.Sprintf("%s-%05d.shard", w.part, w.number))
		if err != nil {
			return err
		}
		w.shard = f
		w.info.Shards = append(w.info.Shards, ShardInfo{FileInfo: FileInfo{Name: filepath.Base(f.Name())}})
		w.number++
	}
	if err := w.shard.write(image); err != nil {
		return err
	}
	w.info.Shards[len(w.info.Shards)-1].Images++
	w.info.Images++
	w.labels.Append(label)
	w.end += uint64(len(image))
	w.chars += uint64(len(name))
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], crc32.Checksum(image, table))
	err := w.sums.write(b[:4])
	if w.manifest.Pixels == File {
		binary.LittleEndian.PutUint64(b[:], w.end)
		err = errors.Join(err, w.ends.write(b[:]))
	}
	binary.LittleEndian.PutUint64(b[:], w.chars)
	err = errors.Join(err, w.named.write(b[:]))
	_, wrong := w.names.buffer.WriteString(name)
	return errors.Join(err, wrong)
}

func (w *Writer) create(name string) (*file, error) {
	f, err := os.OpenFile(filepath.Join(w.tmp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &file{File: f, buffer: bufio.NewWriterSize(f, 1<<18)}, nil
}

func (f *file) write(b []byte) error {
	f.crc = crc32.Update(f.crc, table, b)
	f.bytes += int64(len(b))
	_, err := f.buffer.Write(b)
	return err
}

// finish makes the file durable and describes it.
func (f *file) finish() (FileInfo, error) {
	info := FileInfo{Name: filepath.Base(f.Name()), Bytes: f.bytes, CRC: hexCRC(f.crc)}
	err := f.buffer.Flush()
	if err == nil {
		err = f.Sync()
	}
	return info, errors.Join(err, f.Close())
}

// move appends what was written to another file and removes this one. It
// returns the number of bytes.
func (f *file) move(to *file) (int64, error) {
	defer os.Remove(f.Name())
	defer f.Close()
	if err := f.buffer.Flush(); err != nil {
		return 0, err
	}
	in, err := os.Open(f.Name())
	if err != nil {
		return 0, err
	}
	defer in.Close()
	n := int64(0)
	for buf := make([]byte, 1<<16); ; {
		k, err := in.Read(buf)
		if wrong := to.write(buf[:k]); wrong != nil {
			return n, wrong
		}
		n += int64(k)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (w *Writer) endShard() error {
	if w.shard == nil {
		return nil
	}
	info, err := w.shard.finish()
	w.shard = nil
	w.info.Shards[len(w.info.Shards)-1].FileInfo = info
	return err
}

// endPart completes the shards and writes the index.
func (w *Writer) endPart() error {
	if w.info == nil {
		return nil
	}
	if err := w.endShard(); err != nil {
		return err
	}
	f, err := w.create(w.part + ".index")
	if err != nil {
		return err
	}
	labels := w.labels.Bytes()
	err = f.write(appendHeader(nil, w.info.Images, max(w.labels.Width(), 1), w.manifest.Pixels == File, crc32.Checksum(labels, table)))
	err = errors.Join(err, f.write(labels), f.write(make([]byte, pad(int64(len(labels)))-int64(len(labels)))))
	for i, column := range []**file{&w.sums, &w.ends, &w.named, &w.names} {
		n, wrong := (*column).move(f)
		*column = nil
		err = errors.Join(err, wrong)
		if i == 0 {
			err = errors.Join(err, f.write(make([]byte, pad(n)-n)))
		}
	}
	info, end := f.finish()
	if err = errors.Join(err, end); err != nil {
		return err
	}
	w.info.Index = info
	w.manifest.Parts[w.part] = w.info
	w.info = nil
	return nil
}

// Commit completes the pack under its name and returns its manifest. After an
// error nothing is left.
func (w *Writer) Commit() (*Manifest, error) {
	if err := w.commit(); err != nil {
		w.Abort()
		return nil, w.problem(err)
	}
	return &w.manifest, nil
}

func (w *Writer) commit() error {
	if err := w.endPart(); err != nil {
		return err
	}
	if err := w.manifest.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(w.manifest, "", "  ")
	if err != nil {
		return err
	}
	f, err := w.create(ManifestFile)
	if err != nil {
		return err
	}
	err = f.write(append(text, '\n'))
	_, end := f.finish()
	if err = errors.Join(err, end); err != nil {
		return err
	}
	if err := os.Chmod(w.tmp, 0o755); err != nil {
		return err
	}
	// An empty folder gives way to the pack.
	if err := os.Rename(w.tmp, w.dir); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(w.dir)); err == nil {
		d.Sync() // not every file system can; the files themselves are safe
		d.Close()
	}
	return nil
}

// Abort removes what has been written. It may be called at any time; after
// Commit it does nothing.
func (w *Writer) Abort() {
	if w.shard != nil {
		w.shard.Close()
		w.shard = nil
	}
	for _, column := range w.columns() {
		if *column != nil {
			(*column).Close()
			*column = nil
		}
	}
	os.RemoveAll(w.tmp)
}
