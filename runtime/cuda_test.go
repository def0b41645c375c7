package runtime

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// machine is a made-up installation of CUDA: the C source of each library.
type machine map[string]string

const (
	driverSource = `#include <stddef.h>
#include <string.h>
int cuInit(unsigned f) { return INIT; }
int cuDriverGetVersion(int *v) { *v = VERSION; return 0; }
int cuDeviceGetCount(int *n) { *n = DEVICES; return 0; }
int cuDeviceGet(int *d, int n) { *d = n; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, d ? "second" : "first", n); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = 8ul << 30; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : 6; return 0; }`
	runtimeSource = `int cudaRuntimeGetVersion(int *v) { *v = 13020; return 0; }`
	dnnSource     = `#include <stddef.h>
size_t cudnnGetVersion(void) { return 91203; }`
	providerSource = `const char before[] = "x", version[] = "1.30.0"; int cudaRuntimeGetVersion(int *); int f(int *v) { return cudaRuntimeGetVersion(v); }`
)

func driver(version, devices, init string) string {
	return strings.NewReplacer("VERSION", version, "DEVICES", devices, "INIT", init).Replace(driverSource)
}

func whole() machine {
	return machine{
		"libcuda.so.1": driver("13000", "2", "0"), "libcudart.so.13": runtimeSource, "libcublas.so.13": "int cublas;",
		"libcudnn.so.9": dnnSource, CUDAProviderFile: providerSource, SharedProviderFile: "int shared;", LibraryFile: "int core;",
	}
}

// build compiles the machine into a folder.
func (m machine) build(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to make stand-ins of CUDA's libraries with")
	}
	dir := t.TempDir()
	names := []string{"libcuda.so.1", "libcudart.so.13", "libcublas.so.13", "libcudnn.so.9", SharedProviderFile, LibraryFile, CUDAProviderFile}
	for _, name := range names {
		source, ok := m[name]
		if !ok {
			continue
		}
		path := filepath.Join(dir, name)
		args := []string{"-w", "-shared", "-fPIC", "-x", "c", "-o", path, "-"}
		if name == CUDAProviderFile {
			args = append(args, "-x", "none", "-L"+dir, "-Wl,--no-as-needed", "-l:libcudart.so.13", "-l:libcublas.so.13")
		}
		cmd := exec.Command(cc, args...)
		cmd.Stdin = strings.NewReader(source + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// without builds the machine and then takes libraries away.
func without(t *testing.T, m machine, names ...string) string {
	dir := m.build(t)
	for _, n := range names {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func changed(name, source string) machine {
	m := maps.Clone(whole())
	m[name] = source
	return m
}

func TestCUDAReport(t *testing.T) {
	found := func(name string) bool { // on the machine that runs the test
		_, err := loadDynamic(name, nil)
		return err == nil
	}
	for name, c := range map[string]struct {
		dir  func(t *testing.T) string
		says string // of the first problem; empty for none
		// present is a library that the case wants to be absent.
		present string
	}{
		"whole":          {func(t *testing.T) string { return whole().build(t) }, "", ""},
		"built for CPU":  {func(t *testing.T) string { return without(t, whole(), CUDAProviderFile) }, "is built for the CPU: there is no libonnxruntime_providers_cuda.so beside it; type 'make setup-cuda'", ""},
		"no shared part": {func(t *testing.T) string { return without(t, whole(), SharedProviderFile) }, "there is no libonnxruntime_providers_shared.so beside", ""},
		"other version": {func(t *testing.T) string {
			return changed(CUDAProviderFile, strings.Replace(providerSource, "1.30.0", "1.29.0", 1)).build(t)
		}, "is not of version 1.30.0", ""},
		"no driver":       {func(t *testing.T) string { return without(t, whole(), "libcuda.so.1") }, "there is no NVIDIA driver (libcuda.so.1): install one", "libcuda.so.1"},
		"old driver":      {func(t *testing.T) string { return changed("libcuda.so.1", driver("12040", "2", "0")).build(t) }, "the NVIDIA driver serves CUDA 12.4, the provider needs 13: install a newer driver", ""},
		"driver mismatch": {func(t *testing.T) string { return changed("libcuda.so.1", driver("13000", "2", "803")).build(t) }, "different versions: restart", ""},
		"no device":       {func(t *testing.T) string { return changed("libcuda.so.1", driver("13000", "0", "0")).build(t) }, "reports no device", ""},
		"no cuBLAS":       {func(t *testing.T) string { return without(t, whole(), "libcublas.so.13") }, "libcublas.so.13 is missing: install the CUDA toolkit's cuBLAS, version 13 of libcublas", "libcublas.so.13"},
		"no cuDNN":        {func(t *testing.T) string { return without(t, whole(), "libcudnn.so.9") }, "libcudnn.so.9 is missing: install cuDNN 9", "libcudnn.so.9"},
		"cuDNN 8": {func(t *testing.T) string {
			return changed("libcudnn.so.9", strings.Replace(dnnSource, "91203", "8907", 1)).build(t)
		}, "is cuDNN 8, the provider needs version 9", ""},
		"damaged provider": {func(t *testing.T) string {
			dir := whole().build(t)
			truncate(t, filepath.Join(dir, CUDAProviderFile))
			return dir
		}, "is damaged", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.present != "" && found(c.present) {
				t.Skipf("this machine has a %s of its own", c.present)
			}
			dir := c.dir(t)
			r := cudaSearch{dirs: []string{dir}}.examine(Library{Path: filepath.Join(dir, LibraryFile), Version: "1.30.0"})
			if c.says != "" {
				if len(r.Problems) == 0 || !strings.Contains(r.Problems[0], c.says) {
					t.Fatalf("it says %q, want %q", r.Problems, c.says)
				}
				if err := r.Err(); err == nil || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v", err)
				}
				return
			}
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			if len(r.Devices) != 2 || r.Devices[1] != (CUDADevice{"second", 8 << 30, "8.6"}) || r.Driver != "13.0" {
				t.Errorf("%+v", r)
			}
			versions := map[string]string{}
			for _, l := range r.Libraries {
				versions[l.Name] = l.Version
			}
			if want := map[string]string{"libcudart.so.13": "13.2", "libcublas.so.13": "", "libcudnn.so.9": "9.12.3"}; !maps.Equal(versions, want) {
				t.Errorf("libraries %v, want %v", versions, want)
			}
			if err := r.Check(1); err != nil {
				t.Error(err)
			}
			if err := r.Check(2); err == nil || err.Error() != "cuda.device: there is no device 2; there is 0 (first), 1 (second)" {
				t.Errorf("%v", err)
			}
		})
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
}

// TestLibraryMissesCUDA: a folder found in the loader's stead is named.
func TestLibraryElsewhere(t *testing.T) {
	dir := whole().build(t)
	if err := os.Mkdir(filepath.Join(dir, "toolkit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "libcublas.so.13"), filepath.Join(dir, "toolkit", "libcublas.so.13")); err != nil {
		t.Fatal(err)
	}
	if _, err := loadDynamic("libcublas.so.13", nil); err == nil {
		t.Skip("this machine has a libcublas.so.13 of its own")
	}
	r := cudaSearch{dirs: []string{dir}, known: []string{filepath.Join(dir, "tool*")}}.examine(Library{Path: filepath.Join(dir, LibraryFile), Version: "1.30.0"})
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "toolkit", "libcublas.so.13")+" is not where the loader looks: add its folder to LD_LIBRARY_PATH") {
		t.Errorf("%v", err)
	}
}

func TestFindLibraryForCUDA(t *testing.T) {
	dir := t.TempDir()
	cpu, cuda := filepath.Join(dir, ".cache", "onnxruntime", "1.30.0"), filepath.Join(dir, ".cache", "onnxruntime-cuda", "1.30.0")
	for _, d := range []string{cpu, cuda} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lib, err := FindLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{cpu, cuda} {
		if err := os.Symlink(lib.Path, filepath.Join(d, LibraryFile)); err != nil {
			t.Fatal(err)
		}
	}
	s := &search{getenv: func(string) string { return "" }, probe: probeVersion, systemDirs: func() []string { return nil }, workDir: dir}
	if _, err := s.with(lower.CUDA).find(""); err == nil || !strings.Contains(err.Error(), "is built for the CPU: there is no "+CUDAProviderFile) || !strings.Contains(err.Error(), "make setup-cuda") {
		t.Errorf("%v", err)
	}
	// The provider lies beside a file, not beside a link to one.
	if err := os.Remove(filepath.Join(cuda, LibraryFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(lib.Path, filepath.Join(cuda, LibraryFile)); err != nil {
		t.Skipf("no hard links here: %v", err)
	}
	if err := os.WriteFile(filepath.Join(cuda, CUDAProviderFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := s.with(lower.CUDA).find("")
	if err != nil || got.Path != filepath.Join(cuda, LibraryFile) {
		t.Errorf("%+v, %v", got, err)
	}
	plain := &search{getenv: s.getenv, probe: s.probe, systemDirs: s.systemDirs, workDir: dir}
	if got, err := plain.find(""); err != nil || got.Path != filepath.Join(cpu, LibraryFile) {
		t.Errorf("without a provider: %+v, %v", got, err)
	}
}

// A device leaves the processor's cores to the loader, unless they run a part of
// the model.
func TestThreadCount(t *testing.T) {
	all := DefaultThreads()
	for _, c := range []struct {
		o    Options
		want int
	}{
		{Options{}, all}, {Options{Provider: lower.CPU}, all}, {Options{Threads: 3}, 3},
		{Options{Provider: lower.CUDA}, 1}, {Options{Provider: lower.CUDA, Threads: 3}, 3},
		{Options{Provider: lower.CUDA, CUDA: CUDA{Fallback: true}}, all},
	} {
		if got := c.o.ThreadCount(); got != c.want {
			t.Errorf("%+v: %d threads, want %d", c.o, got, c.want)
		}
	}
}

func TestCUDASettings(t *testing.T) {
	for _, c := range []struct {
		CUDA
		want map[string]string
	}{
		{CUDA{}, map[string]string{"device_id": "0", "cudnn_conv_algo_search": "EXHAUSTIVE", "use_tf32": "1"}},
		{CUDA{Device: 3, MemoryLimit: 5 << 30, HeuristicSearch: true, NoTF32: true},
			map[string]string{"device_id": "3", "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "gpu_mem_limit": "5368709120"}},
	} {
		got := c.settings()
		for k, v := range c.want {
			if got[k] != v {
				t.Errorf("%+v: %s is %q, want %q", c.CUDA, k, got[k], v)
			}
		}
	}
}

// TestPlace: what has no kernel is refused by name, unless the CPU may run it.
func TestPlace(t *testing.T) {
	build := func(provider string) *artifact.Set {
		set, err := artifact.Build(artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}},
			Optimizer: "sgd", Batch: 4, Lowering: lower.Options{Provider: provider}})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	bytes := build(lower.CPU).Eval
	if err := (&artifact.Pixels{Scale: []float32{1, 1, 1}, Shift: []float32{0, 0, 0}}).Before(bytes); err != nil {
		t.Fatal(err)
	}
	pool := &onnx.ModelProto{OpsetImport: []*onnx.OperatorSetIdProto{{Version: 22}}, Graph: &onnx.GraphProto{
		Input: []*onnx.ValueInfoProto{onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{1, 1, 8, 8})},
		Node:  []*onnx.NodeProto{{Name: "pool", OpType: "MaxPool", Input: []string{"x"}, Output: []string{"y"}}},
	}}
	for _, c := range []struct {
		name  string
		model *onnx.ModelProto
		CUDA
		config, says string
	}{
		{"step", build(lower.CUDA).Step, CUDA{}, "1", ""},
		{"evaluation", build(lower.CPU).Eval, CUDA{}, "1", ""},
		{"evaluation of 8-bit images", bytes, CUDA{}, "1", ""},
		{"the CPU's step", build(lower.CPU).Step, CUDA{Fallback: true}, "", "FusedConv): the kernel refuses a convolution without an activation"},
		{"newer", pool, CUDA{}, "", "1 of its 1 nodes have no kernel of provider cuda: pool (MaxPool): there is no kernel of its version 22"},
		{"newer, with fallback", pool, CUDA{Fallback: true}, "", ""},
	} {
		config, err := c.place(c.name, c.model, nil)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		if config[disableFallback] != c.config {
			t.Errorf("%s: %s is %q, want %q", c.name, disableFallback, config[disableFallback], c.config)
		}
	}
}
