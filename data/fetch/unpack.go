package fetch

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// place puts a verified file into the set's folder: unpacked if it is an
// archive, otherwise as it is.
func (s *Set) place(ctx context.Context, f File, file, dir string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if s.Inside == "" {
		return copyFile(filepath.Join(dir, f.Name), in)
	}
	if err := s.unpack(ctx, in, dir); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

func copyFile(path string, from io.Reader) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// unpack extracts the regular files of a compressed tar archive below Inside
// into dir. Names that lead elsewhere and links are refused, and so is more
// than the set can hold: an archive of a few bytes can claim any size.
func (s *Set) unpack(ctx context.Context, from io.Reader, dir string) error {
	z, err := gzip.NewReader(bufio.NewReaderSize(from, 1<<16))
	if err != nil {
		return fmt.Errorf("not a gzip file: %w", err)
	}
	root, err := os.OpenRoot(dir) // whatever a name says, nothing leaves dir
	if err != nil {
		return err
	}
	defer root.Close()
	left := s.MostUnpacked
	in := tar.NewReader(z)
	for members := 0; ; members++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := in.Next()
		if err == io.EOF {
			if members == 0 {
				return errors.New("the archive is empty")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("damaged archive: %w", err)
		}
		if members >= s.MostMembers {
			return fmt.Errorf("the archive holds more than %d files", s.MostMembers)
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("the archive holds %q, which leads out of its folder", h.Name)
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeDir:
		case tar.TypeXGlobalHeader:
			continue
		default:
			return fmt.Errorf("the archive holds %q, which is a link or a device", h.Name)
		}
		if left -= h.Size; h.Size < 0 || left < 0 {
			return fmt.Errorf("the archive holds more than %d MiB", s.MostUnpacked/mib)
		}
		inside, ok := strings.CutPrefix(name, s.Inside+"/")
		if !ok || h.Typeflag == tar.TypeDir {
			continue
		}
		if err := root.MkdirAll(path.Dir(inside), 0o755); err != nil {
			return err
		}
		out, err := root.OpenFile(inside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		if err = errors.Join(err, out.Close()); err != nil {
			return fmt.Errorf("cannot unpack %s: %w", inside, atomicfile.Cause(err))
		}
	}
}
