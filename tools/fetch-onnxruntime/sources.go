package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"

	"github.com/ortrain/ortrain/runtime"
)

// client is a package registry's ordinary command line client.
type client struct {
	// names are the commands to try, in order.
	names []string
	// pack is the package and version asked for, as the messages say it.
	pack string
	// args makes it download pack into dir.
	args func(dir string) []string
	// archive matches the downloaded file.
	archive string
	// open returns the member called name of the archive.
	open func(archive, name string) (io.ReadCloser, int64, error)
	// files lists the library by platform (GOOS/GOARCH).
	files map[string]member
	// beside lists what lies beside the library.
	beside map[string][]member
}

// member is a file inside a package.
type member struct {
	name   string
	sha256 string
}

// clients in order of preference. The checksums were computed from the
// packages of version 1.30.0; a new version means new checksums.
var clients = []client{npm, pip}

var npm = client{
	names:   []string{"npm"},
	pack:    "onnxruntime-node@" + runtime.PinnedVersion,
	archive: "onnxruntime-node-*.tgz",
	args: func(dir string) []string {
		return []string{"pack", "--loglevel=error", "--pack-destination", dir, "onnxruntime-node@" + runtime.PinnedVersion}
	},
	open: openTarGz,
	files: map[string]member{
		"linux/amd64": {"package/bin/napi-v6/linux/x64/libonnxruntime.so.1",
			"ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"},
		"linux/arm64": {"package/bin/napi-v6/linux/arm64/libonnxruntime.so.1",
			"1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76"},
	},
}

// wheelPlatform maps a platform to pip's tag, so that every Python version
// downloads the same wheel.
var wheelPlatform = map[string]string{
	"linux/amd64": "manylinux_2_28_x86_64",
	"linux/arm64": "manylinux_2_28_aarch64",
}

var pip = client{
	names:   []string{"pip", "pip3", "python3 -m pip", "python -m pip"},
	pack:    "onnxruntime==" + runtime.PinnedVersion,
	archive: "onnxruntime-*.whl",
	args: func(dir string) []string {
		return []string{"download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
			"--implementation", "cp", "--python-version", "3.12", "--platform", wheelPlatform[platform()],
			"--dest", dir, "onnxruntime==" + runtime.PinnedVersion}
	},
	open: openZip,
	files: map[string]member{
		"linux/amd64": {"onnxruntime/capi/libonnxruntime.so.1.30.0",
			"c902c70b3003c0e99fada202f37478c515ae9bba7944c2b2abd0017bae0c82ed"},
		"linux/arm64": {"onnxruntime/capi/libonnxruntime.so.1.30.0",
			"8a218e1e446880131115c368ec7005969a5022af9a15a26173de648fef0b7789"},
	},
}

// cuda is the wheel with the CUDA provider, of the same release. The core is an
// ordinary build, which runs on the CPU as well.
var cuda = client{
	names:   pip.names,
	pack:    "onnxruntime-gpu==" + runtime.PinnedVersion,
	archive: "onnxruntime_gpu-*.whl",
	args: func(dir string) []string {
		args := pip.args(dir)
		args[len(args)-1] = "onnxruntime-gpu==" + runtime.PinnedVersion
		return args
	},
	open: openZip,
	files: map[string]member{
		"linux/amd64": {"onnxruntime/capi/libonnxruntime.so.1.30.0",
			"5a140dc17c8b60b35b2ceab0bb533e65ac54f06a208948417c1f9c31df6afc4c"},
	},
	beside: map[string][]member{
		"linux/amd64": {
			{"onnxruntime/capi/" + runtime.SharedProviderFile, "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"},
			{"onnxruntime/capi/" + runtime.CUDAProviderFile, "35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc"},
		},
	},
}

func platform() string { return goruntime.GOOS + "/" + goruntime.GOARCH }

// multiCloser closes a chain of readers, innermost first.
type multiCloser struct {
	io.Reader
	closers []io.Closer
}

func (m multiCloser) Close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func openTarGz(archive, name string) (io.ReadCloser, int64, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, 0, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			z.Close()
			f.Close()
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("it holds no %s", name)
			}
			return nil, 0, fmt.Errorf("%s: %w", filepath.Base(archive), err)
		}
		if h.Name == name && h.Typeflag == tar.TypeReg {
			return multiCloser{t, []io.Closer{z, f}}, h.Size, nil
		}
	}
}

func openZip(archive, name string) (io.ReadCloser, int64, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	for _, m := range z.File {
		if m.Name != name {
			continue
		}
		r, err := m.Open()
		if err != nil {
			z.Close()
			return nil, 0, fmt.Errorf("%s: %w", filepath.Base(archive), err)
		}
		return multiCloser{r, []io.Closer{r, z}}, int64(m.UncompressedSize64), nil
	}
	z.Close()
	return nil, 0, fmt.Errorf("%s: it holds no %s", filepath.Base(archive), name)
}
