// Package web writes a static web page that classifies dropped images with a
// model, in the browser: files for any web server, no code on it. The page
// runs the model with onnxruntime-web, takes class names, size and
// normalisation from its metadata, and sends nothing anywhere.
package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// PackageVersion is the release of the npm package onnxruntime-web that the
// page is tested with.
const PackageVersion = "1.30.0"

// ErrNoPackage is returned where onnxruntime-web is not found.
var ErrNoPackage = errors.New("onnxruntime-web, which runs the model in the browser, is not there")

//go:embed page
var page embed.FS

// generator marks the index.html of a folder that Write made.
const generator = `<meta name="generator" content="ortrain web">`

// packageFiles are what the page needs of onnxruntime-web's dist folder.
var packageFiles = []string{"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"}

// Package is an installed onnxruntime-web.
type Package struct {
	// Dir is the package's folder, the one of its package.json.
	Dir     string
	Version string
}

// FindPackage looks for onnxruntime-web in dir, the package's own folder or
// one with node_modules, or, if dir is empty, in node_modules of the working
// directory and the folders above it. Errors wrap ErrNoPackage.
func FindPackage(dir string) (Package, error) {
	var places []string
	if dir != "" {
		places = []string{dir, filepath.Join(dir, "node_modules", "onnxruntime-web")}
	} else {
		here, err := os.Getwd()
		if err != nil {
			return Package{}, err
		}
		for ; ; here = filepath.Dir(here) {
			places = append(places, filepath.Join(here, "node_modules", "onnxruntime-web"))
			if here == filepath.Dir(here) {
				break
			}
		}
	}
	for _, place := range places {
		b, err := os.ReadFile(filepath.Join(place, "package.json"))
		if err != nil {
			continue
		}
		var p struct{ Name, Version string }
		if json.Unmarshal(b, &p) != nil || p.Name != "onnxruntime-web" {
			continue
		}
		for _, name := range packageFiles {
			if _, err := os.Stat(filepath.Join(place, "dist", name)); err != nil {
				return Package{}, fmt.Errorf("%w: %s %s lacks dist/%s; install version %s", ErrNoPackage, place, p.Version, name, PackageVersion)
			}
		}
		return Package{Dir: place, Version: p.Version}, nil
	}
	if dir != "" {
		return Package{}, fmt.Errorf("%w: no package in %s", ErrNoPackage, dir)
	}
	return Package{}, ErrNoPackage
}

// Write makes the folder out: the page, the model and what it needs of
// onnxruntime-web. A folder that an earlier Write made is replaced once the
// new one is complete; another one that is not empty is refused.
func Write(out string, model []byte, p Package) (err error) {
	out = filepath.Clean(out)
	if err := free(out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(out), ".web-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := fill(temporary, model, p); err != nil {
		return err
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	old := temporary + ".old"
	if err := os.Rename(out, old); err == nil {
		defer os.RemoveAll(old)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temporary, out); err != nil {
		return errors.Join(err, os.Rename(old, out))
	}
	return nil
}

// free reports a folder that is in use for something else.
func free(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if b, err := os.ReadFile(filepath.Join(out, "index.html")); err == nil && strings.Contains(string(b), generator) {
		return nil
	}
	return fmt.Errorf("%s holds other files; give a new folder", out)
}

func fill(dir string, model []byte, p Package) error {
	parts, err := fs.Sub(page, "page")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, parts); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), model, 0o644); err != nil {
		return err
	}
	to := filepath.Join(dir, "ort")
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, name := range packageFiles {
		b, err := os.ReadFile(filepath.Join(p.Dir, "dist", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			return err
		}
	}
	note := fmt.Sprintf("onnxruntime-web %s, (c) Microsoft Corporation, MIT licence\n", p.Version)
	return os.WriteFile(filepath.Join(to, "NOTICE"), []byte(note), 0o644)
}
