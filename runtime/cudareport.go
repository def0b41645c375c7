package runtime

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The files of the CUDA provider, which lie beside the library.
const (
	CUDAProviderFile   = "libonnxruntime_providers_cuda.so"
	SharedProviderFile = "libonnxruntime_providers_shared.so"
)

// InstallCUDA says how to get a library with the CUDA provider.
const InstallCUDA = "type 'make setup-cuda' to fetch ONNX Runtime " + PinnedVersion + " with CUDA"

// CUDAReport tells whether provider cuda can work on this machine.
type CUDAReport struct {
	// Provider is the provider's file; empty if there is none.
	Provider string `json:"provider"`
	// Libraries are what it needs, in its order.
	Libraries []CUDALibrary `json:"libraries"`
	// Driver is the version of CUDA that the driver serves, as in "13.0".
	Driver  string       `json:"driver"`
	Devices []CUDADevice `json:"devices"`
	// Problems says in one line each what is missing or does not fit, and what
	// to do; empty if all is well.
	Problems []string `json:"problems,omitempty"`
}

// CUDALibrary is a library that the provider needs.
type CUDALibrary struct {
	// Name is the file's, as in "libcudart.so.13"; Version its own where it
	// tells.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Err returns the first problem; nil if there is none.
func (r *CUDAReport) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	return fmt.Errorf("provider cuda cannot work here: %s", r.Problems[0])
}

// cudaSearch holds what an examination depends on, so that tests can replace
// it.
type cudaSearch struct {
	// dirs are folders to look for libraries in before the loader does.
	dirs []string
	// known are patterns of folders where CUDA's libraries are often found
	// though the loader does not look there.
	known []string
}

var usualCUDA = cudaSearch{known: []string{
	"/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib", "/opt/cuda/lib64",
	"/usr/lib/python3*/site-packages/nvidia/*/lib", "/usr/local/lib/python3*/*-packages/nvidia/*/lib",
	"/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib", ".venv/lib/python3*/site-packages/nvidia/*/lib",
}}

// ExamineCUDA examines provider cuda of a library: its files, the libraries
// that it needs, the driver and the devices. It loads CUDA's libraries into the
// process.
func ExamineCUDA(lib Library) *CUDAReport { return usualCUDA.examine(lib) }

var cudaChecks sync.Map // Library → *CUDAReport

// CheckCUDA reports in one line why provider cuda of a library cannot work
// with a device.
func CheckCUDA(lib Library, device int) error {
	r, ok := cudaChecks.Load(lib)
	if !ok {
		r, _ = cudaChecks.LoadOrStore(lib, ExamineCUDA(lib))
	}
	return r.(*CUDAReport).Check(device)
}

// Check returns the first problem, or that there is no such device; nil if the
// provider works with it.
func (r *CUDAReport) Check(device int) error {
	if err := r.Err(); err != nil {
		return err
	}
	if device < 0 || device >= len(r.Devices) {
		var have []string
		for i, d := range r.Devices {
			have = append(have, fmt.Sprintf("%d (%s)", i, d.Name))
		}
		return fmt.Errorf("cuda.device: there is no device %d; there is %s", device, strings.Join(have, ", "))
	}
	return nil
}

func (s cudaSearch) examine(lib Library) *CUDAReport {
	r := &CUDAReport{}
	problem := func(format string, args ...any) {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
	if lib.Path == "" {
		problem("no ONNX Runtime library is open")
		return r
	}
	dir := filepath.Dir(lib.Path)
	if real, err := filepath.EvalSymlinks(lib.Path); err == nil {
		dir = filepath.Dir(real)
	}
	r.Provider = filepath.Join(dir, CUDAProviderFile)
	needed, major, err := neededBy(r.Provider)
	switch {
	case os.IsNotExist(err):
		problem("%s is built for the CPU: there is no %s beside it; %s", lib.Path, CUDAProviderFile, InstallCUDA)
		r.Provider = ""
	case err != nil:
		problem("%s is damaged (%v); %s", r.Provider, err, InstallCUDA)
	default:
		if _, err := os.Stat(filepath.Join(dir, SharedProviderFile)); err != nil {
			problem("there is no %s beside %s; %s", SharedProviderFile, lib.Path, InstallCUDA)
		}
		if lib.Version != "" && !holds(r.Provider, lib.Version) {
			problem("%s is not of version %s like %s; %s", r.Provider, lib.Version, lib.Path, InstallCUDA)
		}
	}
	s.driver(r, major, problem)
	for _, name := range needed {
		l := CUDALibrary{Name: name}
		if l.Version, err = s.library(name); err != nil {
			l.Problem = err.Error()
			problem("%s is missing: %s", name, l.Problem)
		}
		r.Libraries = append(r.Libraries, l)
	}
	return r
}

// driver examines the driver for a provider built for a major version of CUDA,
// 0 if that is not known.
func (s cudaSearch) driver(r *CUDAReport, major int, problem func(string, ...any)) {
	d, err := loadDynamic("libcuda.so.1", s.dirs)
	if err != nil {
		problem("there is no NVIDIA driver (libcuda.so.1): install one, and in a container start it with access to the GPU")
		return
	}
	v, err := d.getInt("cuDriverGetVersion")
	if err != nil {
		problem("the NVIDIA driver (libcuda.so.1) does not answer: %v", err)
		return
	}
	r.Driver = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	if v/1000 < major {
		problem("the NVIDIA driver serves CUDA %s, the provider needs %d: install a newer driver", r.Driver, major)
	}
	if r.Devices, err = d.devices(); err != nil {
		problem("the NVIDIA driver has no device that can be used: %v", err)
	} else if len(r.Devices) == 0 {
		problem("the NVIDIA driver reports no device; in a container start it with access to the GPU")
	}
}

// packages says what brings a library, by the beginning of its name.
var packages = []struct{ prefix, from string }{
	{"libcudnn", "install cuDNN 9 for your version of CUDA (nvidia-cudnn of PyPI or NVIDIA's packages)"},
	{"libcublas", "install the CUDA toolkit's cuBLAS"},
	{"libcurand", "install the CUDA toolkit's cuRAND"},
	{"libcufft", "install the CUDA toolkit's cuFFT"},
	{"libcudart", "install the CUDA toolkit's runtime"},
}

// library loads a library and asks it for its version, where it tells.
func (s cudaSearch) library(name string) (version string, err error) {
	d, err := loadDynamic(name, s.dirs)
	if err != nil {
		for _, pattern := range s.known {
			if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
				return "", fmt.Errorf("%s is not where the loader looks: add its folder to LD_LIBRARY_PATH", found[0])
			}
		}
		how := "install CUDA's libraries"
		for _, p := range packages {
			if strings.HasPrefix(name, p.prefix) {
				how = p.from
				break
			}
		}
		if base, number, ok := strings.Cut(name, ".so."); ok {
			how += fmt.Sprintf(", version %s of %s", number, base)
		}
		return "", fmt.Errorf("%s", how)
	}
	switch {
	case strings.HasPrefix(name, "libcudnn"):
		v := d.version("cudnnGetVersion")
		if v > 0 && v < 90000 {
			return fmt.Sprint(v), fmt.Errorf("%s is cuDNN %d, the provider needs version 9", name, v/1000)
		}
		return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100), nil
	case strings.HasPrefix(name, "libcudart"):
		if v, err := d.getInt("cudaRuntimeGetVersion"); err == nil {
			return fmt.Sprintf("%d.%d", v/1000, v%1000/10), nil
		}
	}
	return "", nil
}

var cudaName = regexp.MustCompile(`^libcu(dart|blas|blasLt|fft|rand|dnn)\.so`)

// neededBy reads which of CUDA's libraries a provider needs, and for which
// major version of CUDA it is built. cuDNN is loaded by the provider when it
// starts, and so is no entry of its file.
func neededBy(path string) (names []string, major int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, 0, err
	}
	all, err := f.ImportedLibraries()
	if err != nil {
		return nil, 0, err
	}
	for _, n := range all {
		if cudaName.MatchString(n) {
			names = append(names, n)
		}
		if number, ok := strings.CutPrefix(n, "libcudart.so."); ok {
			major, _ = strconv.Atoi(strings.Split(number, ".")[0])
		}
	}
	if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "libcudnn") }) {
		names = append(names, "libcudnn.so.9")
	}
	return names, major, nil
}

// holds reports whether a library's constants hold a version as text by itself:
// provider and library check each other's when they meet.
func holds(path, version string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	s := f.Section(".rodata")
	if s == nil {
		return false
	}
	data, err := s.Data()
	return err == nil && bytes.Contains(data, append([]byte("\x00"+version), 0))
}
