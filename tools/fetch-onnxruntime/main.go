// Fetch-onnxruntime brings the pinned ONNX Runtime CPU library into the
// project's cache folder, where every command finds it:
//
//	go run ./tools/fetch-onnxruntime
//
// With -cuda it brings the library of the same release with the CUDA provider
// into a folder of its own, where commands with --provider cuda find it: pip's
// onnxruntime-gpu wheel (250 MB). CUDA 13, cuDNN 9 and a driver are not in it;
// 'ortrain doctor --provider cuda' says what is missing.
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

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
)

func main() {
	root := flag.String("root", ".", "the project's folder; the library goes below its .cache")
	force := flag.Bool("force", false, "fetch the pinned version even if another fitting library is installed")
	withCUDA := flag.Bool("cuda", false, "fetch the library with the CUDA provider")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *root, *force, *withCUDA, os.Stdout); err != nil {
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

func run(ctx context.Context, root string, force, withCUDA bool, out io.Writer) error {
	provider, from, cache := lower.CPU, clients, runtime.CacheDir
	if withCUDA {
		provider, from, cache = lower.CUDA, []client{cuda}, runtime.CUDACacheDir
	}
	if !force {
		if lib, err := runtime.FindLibraryFor(provider, ""); err == nil {
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
	dir := cache(root, runtime.PinnedVersion)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, runtime.LibraryFile)
	in, err := fetch(ctx, from, path, out)
	if err != nil {
		os.Remove(dir) // only if it is empty
		return err
	}
	lib, err := runtime.FindLibraryFor(provider, path)
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
