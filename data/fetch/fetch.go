package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MirrorVariable is the environment variable that names a mirror.
const MirrorVariable = "ORTRAIN_DATA_MIRROR"

// Options say where to download to and from.
type Options struct {
	// Root is the folder in which the set's own is made.
	Root string
	// Mirror, if set, is the address of a folder that holds the files under
	// their names; it is asked instead of the official addresses.
	Mirror string
	// Stall is how long a server may send nothing; 0 means 30 s.
	Stall time.Duration
	// Attempts is how often in a row a server may fail; 0 means 5.
	Attempts int
	// Pause is the wait after a failure, doubled each time; 0 means 1 s.
	Pause time.Duration
	// Client is for tests; nil means one with sensible limits.
	Client *http.Client
	// Progress, if set, is called as bytes arrive; total is 0 if unknown.
	Progress func(file string, done, total int64)
	// Note, if set, receives a line about a failure that is not the end.
	Note func(line string)
}

// downloads is the folder, in the root, of files on their way.
const downloads = ".downloads"

// Get makes the data set's folder in the root and returns its path. A folder
// that is there already is left as it is, and there is true. Files that were
// placed in the root or in the folder of downloads by hand are used if their
// checksum is right. After an error what has arrived is kept, to be resumed.
func Get(ctx context.Context, s *Set, o Options) (dir string, there bool, err error) {
	o = o.complete()
	dir = filepath.Join(o.Root, s.Folder)
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return dir, true, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", false, err
	}
	work := filepath.Join(o.Root, downloads)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", false, err
	}
	var got []string
	for _, f := range s.Files {
		path, err := o.file(ctx, s, f, work)
		if err != nil {
			return "", false, err
		}
		got = append(got, path)
	}
	tmp, err := os.MkdirTemp(work, s.Folder+".*.tmp")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(tmp)
	for i, path := range got {
		if err := s.place(ctx, s.Files[i], path, tmp); err != nil {
			return "", false, err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", false, err
	}
	os.Remove(dir) // an empty folder gives way
	if err := os.Rename(tmp, dir); err != nil {
		return "", false, fmt.Errorf("cannot make %s: %w", dir, err)
	}
	for _, path := range got {
		if filepath.Dir(path) == work {
			os.Remove(path)
		}
	}
	os.Remove(work) // if nothing else is on its way
	return dir, false, nil
}

func (o Options) complete() Options {
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 5
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	if o.Client == nil {
		o.Client = &http.Client{} // as long as bytes arrive there is no limit
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return o
}

// file returns the path of a verified file, downloading it if need be.
func (o Options) file(ctx context.Context, s *Set, f File, work string) (string, error) {
	for _, path := range []string{filepath.Join(o.Root, f.Name), filepath.Join(work, f.Name)} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := verify(path, f.MD5); err == nil {
			return path, nil
		} else if filepath.Dir(path) != work {
			o.Note(fmt.Sprintf("%v; it is not used", err))
		} else {
			os.Remove(path)
		}
	}
	urls := f.URLs
	if o.Mirror != "" {
		urls = []string{strings.TrimSuffix(o.Mirror, "/") + "/" + f.Name}
	}
	final := filepath.Join(work, f.Name)
	var failures []string
	for _, url := range urls {
		err := o.download(ctx, f, url, final)
		if err == nil {
			return final, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if errors.Is(err, errLocal) {
			return "", err
		}
		failures = append(failures, err.Error())
	}
	return "", fmt.Errorf("%s; to place it by hand, download %s (%s) elsewhere, put it into %s as %s and run this again",
		strings.Join(failures, "; "), f.URLs[0], s.Home, o.Root, f.Name)
}
