package packed

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/data/files"
)

// Check reads every file of a pack and compares it with the manifest. It
// returns what is wrong, and an error if the manifest cannot be read or ctx
// ends. progress, if not nil, is called with the bytes read so far and in all.
func Check(ctx context.Context, dir string, progress func(done, total int64)) ([]files.Problem, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	var list []FileInfo
	var done, total int64
	for _, name := range Parts {
		p := m.Parts[name]
		if p == nil {
			continue
		}
		list = append(list, p.Index)
		for _, s := range p.Shards {
			list = append(list, s.FileInfo)
		}
	}
	for _, f := range list {
		total += f.Bytes
	}
	var problems []files.Problem
	for _, f := range slices.Clip(list) {
		path := filepath.Join(dir, f.Name)
		kind, detail, err := f.check(ctx, path, func(n int) {
			done += int64(n)
			if progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return problems, err
		}
		if kind != "" {
			problems = append(problems, files.Problem{Path: path, Kind: kind, Detail: detail})
		}
	}
	return problems, nil
}

// check says what is wrong with a file, if anything.
func (f FileInfo) check(ctx context.Context, path string, read func(int)) (kind, detail string, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return files.Unreadable, "is missing; copy it anew or pack the set again", nil
	}
	if err != nil {
		return files.Unreadable, "cannot be read: " + atomicfile.Cause(err).Error(), nil
	}
	defer file.Close()
	sum, n := uint32(0), int64(0)
	for buf := make([]byte, 1<<20); ; {
		if err := ctx.Err(); err != nil {
			return "", "", err
		}
		k, err := file.Read(buf)
		sum = crc32.Update(sum, table, buf[:k])
		n += int64(k)
		read(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return files.Unreadable, "cannot be read: " + atomicfile.Cause(err).Error(), nil
		}
	}
	switch {
	case n != f.Bytes:
		return files.Damaged, fmt.Sprintf("has %d bytes instead of %d; copy it anew or pack the set again", n, f.Bytes), nil
	case hexCRC(sum) != f.CRC:
		return files.Checksum, fmt.Sprintf("its checksum is %s instead of %s; copy it anew or pack the set again", hexCRC(sum), f.CRC), nil
	}
	return "", "", nil
}
