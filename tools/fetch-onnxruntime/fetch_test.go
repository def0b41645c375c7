package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime"
)

func tarball(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"package/package.json", []byte("{}")}, {name, content}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wheel(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// script makes a client that is a shell script; it finds the destination
// folder in $1.
func script(t *testing.T, c client, name, body string, m member) client {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.names = []string{path}
	c.args = func(dir string) []string { return []string{dir} }
	c.files = map[string]member{platform(): m}
	return c
}

func absent(c client) client {
	c.names = []string{"no-such-client-of-a-registry"}
	return c
}

func TestFetch(t *testing.T) {
	library := bytes.Repeat([]byte("library "), 10_000)
	packages := t.TempDir()
	save := func(name string, b []byte) string {
		path := filepath.Join(packages, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tgz := save("a.tgz", tarball(t, "lib.so", library))
	whl := save("a.whl", wheel(t, "lib.so", library))
	cut := save("cut.tgz", tarball(t, "lib.so", library)[:200])
	other := save("other.tgz", tarball(t, "something.else", library))
	good := member{"lib.so", sum(library)}
	bringTgz := func(file string) string { return `cp ` + file + ` "$1/onnxruntime-node-1.30.0.tgz"` }
	bringWhl := func(file string) string { return `cp ` + file + ` "$1/onnxruntime-1.30.0-cp312.whl"` }

	for name, c := range map[string]struct {
		clients []client
		from    string // the package that served; empty for failure
		says    []string
	}{
		"npm":            {[]client{script(t, npm, "npm", bringTgz(tgz), good), absent(pip)}, npm.pack, nil},
		"pip":            {[]client{absent(npm), script(t, pip, "pip", bringWhl(whl), good)}, pip.pack, nil},
		"npm fails":      {[]client{script(t, npm, "npm", "exit 1", good), script(t, pip, "pip", bringWhl(whl), good)}, pip.pack, nil},
		"npm is damaged": {[]client{script(t, npm, "npm", bringTgz(cut), good), script(t, pip, "pip", bringWhl(whl), good)}, pip.pack, nil},
		"neither":        {[]client{absent(npm), absent(pip)}, "", []string{"neither npm nor pip is installed", runtime.LibraryEnv}},
		"both fail": {[]client{script(t, npm, "npm", "echo npm error network unreachable >&2; exit 7", good), script(t, pip, "pip", "echo 'ERROR: no such version'; exit 1", good)},
			"", []string{"exit status 7: npm error network unreachable", "exit status 1: ERROR: no such version", "try again"}},
		"checksum": {[]client{script(t, npm, "npm", bringTgz(tgz), member{"lib.so", sum([]byte("x"))}), absent(pip)},
			"", []string{"checksum mismatch", sum(library), "thrown away"}},
		"no member":  {[]client{script(t, npm, "npm", bringTgz(other), good), absent(pip)}, "", []string{"it holds no lib.so"}},
		"no wheel":   {[]client{absent(npm), script(t, pip, "pip", bringWhl(tgz), good)}, "", []string{"not a valid zip"}},
		"no package": {[]client{script(t, npm, "npm", "true", good), absent(pip)}, "", []string{"left no package"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, runtime.LibraryFile)
			in, err := fetch(context.Background(), c.clients, path, io.Discard)
			entries, readErr := os.ReadDir(dir)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if c.from == "" {
				if err == nil || len(entries) != 0 {
					t.Fatalf("%v; %v was left behind", err, entries)
				}
				for _, s := range c.says {
					if !strings.Contains(err.Error(), s) || strings.Contains(err.Error(), "\n") {
						t.Errorf("%q does not say %q in one line", err, s)
					}
				}
				return
			}
			if err != nil || len(entries) != 1 {
				t.Fatalf("%v; the folder holds %v", err, entries)
			}
			b, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(b, library) {
				t.Errorf("the library differs, %v", err)
			}
			if in.Package != c.from || in.SHA256 != good.sha256 || in.Bytes != int64(len(library)) {
				t.Errorf("info %+v", in)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	c := script(t, npm, "npm", "exec sleep 60", member{"lib.so", ""})
	_, err := fetch(ctx, []client{c}, filepath.Join(dir, "x"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v was left behind", entries)
	}
}

// TestInstalledIsUsed: a library that is there already is not fetched again.
func TestInstalledIsUsed(t *testing.T) {
	lib, err := runtime.FindLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(runtime.LibraryEnv, lib.Path)
	var out bytes.Buffer
	root := t.TempDir()
	if err := run(context.Background(), root, false, false, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "is there already") || !strings.Contains(out.String(), lib.Path) {
		t.Errorf("it says %q", &out)
	}
	if entries, _ := os.ReadDir(root); len(entries) != 0 {
		t.Errorf("%v was made", entries)
	}
}

func TestUnfitEnvironment(t *testing.T) {
	t.Setenv(runtime.LibraryEnv, filepath.Join(t.TempDir(), "none.so"))
	root := t.TempDir()
	err := run(context.Background(), root, false, false, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "unset "+runtime.LibraryEnv) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(root); len(entries) != 0 {
		t.Errorf("%v was made", entries)
	}
}

// TestBeside: what lies beside the library comes with it, verified like it.
func TestBeside(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range map[string]string{"lib.so": "library", "in/provider.so": "provider"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.whl")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"provider", "another"} {
		c := script(t, cuda, "pip", `cp `+file+` "$1/onnxruntime_gpu-1.30.0-cp312.whl"`, member{"lib.so", sum([]byte("library"))})
		c.beside = map[string][]member{platform(): {{"in/provider.so", sum([]byte(want))}}}
		dir := t.TempDir()
		_, err := fetch(context.Background(), []client{c}, filepath.Join(dir, runtime.LibraryFile), io.Discard)
		got, _ := os.ReadFile(filepath.Join(dir, "provider.so"))
		entries, _ := os.ReadDir(dir)
		if want == "provider" && (err != nil || string(got) != "provider" || len(entries) != 2) {
			t.Errorf("%v; %q and %v", err, got, entries)
		}
		if want == "another" && (err == nil || !strings.Contains(err.Error(), "checksum mismatch") || len(entries) != 0) {
			t.Errorf("%v; %v was left behind", err, entries)
		}
	}
	_, err := fetch(context.Background(), []client{absent(cuda)}, filepath.Join(t.TempDir(), "x"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "pip is not installed: install it") {
		t.Errorf("%v", err)
	}
}

func TestPinned(t *testing.T) {
	for _, c := range append(clients, cuda) {
		for p, ms := range c.beside {
			for _, m := range ms {
				if len(m.sha256) != 64 {
					t.Errorf("%s for %s: %+v", c.pack, p, m)
				}
			}
		}
		for p, m := range c.files {
			if len(m.sha256) != 64 || !strings.Contains(c.pack, runtime.PinnedVersion) {
				t.Errorf("%s for %s: %+v", c.pack, p, m)
			}
		}
	}
}
