package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ortrain/ortrain/runtime"
)

// errNoClient is returned by download when the client is not installed.
var errNoClient = errors.New("not installed")

// fetch tries the clients in turn until one has brought a library with the
// pinned checksum to path. Nothing is left behind on failure.
func fetch(ctx context.Context, clients []client, path string, out io.Writer) (info, error) {
	var failures []string
	missing := 0
	for _, c := range clients {
		m, ok := c.files[platform()]
		if !ok {
			return info{}, fmt.Errorf("no ONNX Runtime package is known for %s; install version %s yourself and set %s to its library",
				platform(), runtime.PinnedVersion, runtime.LibraryEnv)
		}
		size, err := fetchWith(ctx, c, m, path, out)
		if err == nil {
			return info{Version: runtime.PinnedVersion, Platform: platform(), Package: c.pack,
				Member: m.name, SHA256: m.sha256, Bytes: size}, nil
		}
		if ctx.Err() != nil {
			return info{}, errors.New("interrupted; nothing was left behind")
		}
		if errors.Is(err, errNoClient) {
			missing++
		}
		failures = append(failures, fmt.Sprintf("%s: %v", c.names[0], err))
	}
	if missing == len(clients) {
		which := "neither npm nor pip is installed: install one of them"
		if len(clients) == 1 {
			which = "pip is not installed: install it"
		}
		return info{}, fmt.Errorf("%s, or ONNX Runtime %s yourself and set %s to its library",
			which, runtime.PinnedVersion, runtime.LibraryEnv)
	}
	return info{}, fmt.Errorf("ONNX Runtime could not be fetched (%s); try again, or install it yourself and set %s to its library",
		strings.Join(failures, "; "), runtime.LibraryEnv)
}

// fetchWith downloads and extracts with one client and returns the library's size.
func fetchWith(ctx context.Context, c client, m member, path string, out io.Writer) (int64, error) {
	// The package stays beside its destination: same file system, ample
	// space or a clear error, and an ignored folder.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".fetch-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := download(ctx, c, dir, out); err != nil {
		return 0, err
	}
	archives, err := filepath.Glob(filepath.Join(dir, c.archive))
	if err != nil || len(archives) != 1 {
		return 0, fmt.Errorf("downloading %s left no package", c.pack)
	}
	// The library comes last: a folder that holds it is complete.
	var brought []string
	for _, other := range c.beside[platform()] {
		to := filepath.Join(filepath.Dir(path), filepath.Base(other.name))
		if _, err = extract(c, other, archives[0], to, out); err != nil {
			break
		}
		brought = append(brought, to)
	}
	var size int64
	if err == nil {
		size, err = extract(c, m, archives[0], path, out)
	}
	if err != nil {
		for _, to := range brought {
			os.Remove(to)
		}
	}
	return size, err
}

// download runs the client and shows how much has arrived.
func download(ctx context.Context, c client, dir string, out io.Writer) error {
	command := findCommand(c.names)
	if command == nil {
		return errNoClient
	}
	fmt.Fprintf(out, "fetching %s with %s\n", c.pack, strings.Join(command, " "))
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], c.args(dir)...)...)
	cmd.Dir = dir // away from any package.json of the caller
	// The client's own temporary files go where the growth is shown and
	// cleaned up with the rest.
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	bar := newProgress(-1, "downloading", out)
	defer bar.Finish()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("downloading %s failed: %w%s", c.pack, err, lastLine(log.String()))
			}
			return nil
		case <-tick.C:
			bar.Set64(dirSize(dir))
		}
	}
}

// findCommand returns the first installed command, split into words.
func findCommand(names []string) []string {
	for _, n := range names {
		words := strings.Fields(n)
		path, err := exec.LookPath(words[0])
		if err != nil {
			continue
		}
		if len(words) > 1 && exec.Command(path, append(words[1:], "--version")...).Run() != nil {
			continue // a Python without its pip module
		}
		return append([]string{path}, words[1:]...)
	}
	return nil
}

// lastLine returns the telling line of a client's output for a message.
func lastLine(log string) string {
	last := ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, "A complete log of this run") || strings.HasSuffix(line, ".log") {
			continue
		}
		last = line
		if strings.HasPrefix(line, "ERROR:") { // pip's reason comes first
			break
		}
	}
	if last == "" {
		return ""
	}
	if len(last) > 200 {
		last = last[:200] + "…"
	}
	return ": " + last
}

func dirSize(dir string) (n int64) {
	filepath.Walk(dir, func(_ string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() {
			n += st.Size()
		}
		return nil
	})
	return n
}

// extract copies the member out of the archive into a temporary file, checks
// it, and only then gives it its name.
func extract(c client, m member, archive, path string, out io.Writer) (int64, error) {
	in, size, err := c.open(archive, m.name)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	tmp, err := os.CreateTemp(filepath.Dir(archive), "library-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name()) // gone already after the rename
	defer tmp.Close()
	bar := newProgress(size, "extracting", out)
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, hash, bar), in)
	bar.Finish()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	if have := hex.EncodeToString(hash.Sum(nil)); have != m.sha256 {
		return 0, fmt.Errorf("checksum mismatch: the library in %s has SHA-256 %s, expected %s; it was thrown away", c.pack, have, m.sha256)
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(tmp.Name(), path)
}

// newProgress draws a bar on a terminal and nothing elsewhere.
func newProgress(size int64, what string, out io.Writer) *progressbar.ProgressBar {
	f, ok := out.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}
