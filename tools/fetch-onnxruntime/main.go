// Fetch-onnxruntime brings the pinned ONNX Runtime CPU library into the
// project's cache folder, where every command finds it:
//
//	go run ./tools/fetch-onnxruntime
//
// A fitting library that is already installed is used as it is. Otherwise the
// library comes out of a package of an ordinary registry client: npm's
// onnxruntime-node or, without npm, pip's onnxruntime wheel. Either is
// verified against a pinned checksum before it takes its place.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/ortrain/ortrain/runtime"
)

func main() {
	root := flag.String("root", ".", "the project's folder; the library goes below its .cache")
	force := flag.Bool("force", false, "fetch the pinned version even if another fitting library is installed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *root, *force, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fetch-onnxruntime:", err)
		os.Exit(1)
	}
}

// info is written beside the library to say what it is.
type info struct {
	Version  string `json:"version"`
	Platform string `json:"platform"`
	Package  string `json:"package"`
	Member   string `json:"member"`
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
}

func run(ctx context.Context, root string, force bool, out io.Writer) error {
	if !force {
		if lib, err := runtime.FindLibrary(""); err == nil {
			fmt.Fprintf(out, "ONNX Runtime %s is there already (%s): %s\n", lib.Version, lib.Source, lib.Path)
			return nil
		} else if os.Getenv(runtime.LibraryEnv) != "" {
			// What is fetched would not be used.
			return fmt.Errorf("unset %s to have the library fetched: %w", runtime.LibraryEnv, err)
		}
	}
	root, err := filepath.Abs(root) // the clients run in a folder of their own
	if err != nil {
		return err
	}
	dir := runtime.CacheDir(root, runtime.PinnedVersion)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, runtime.LibraryFile)
	in, err := fetch(ctx, clients, path, out)
	if err != nil {
		os.Remove(dir) // only if it is empty
		return err
	}
	lib, err := runtime.FindLibrary(path)
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("the fetched library does not work here: %w", err)
	}
	text, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "info.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "ONNX Runtime %s from %s, checksum verified: %s\n", lib.Version, in.Package, lib.Path)
	return nil
}
