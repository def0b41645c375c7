package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// Measurements are what Tune has measured on this machine: seconds of a run by
// environment, lower.Key and form. The file may be deleted at any time.
type measurements map[string]map[string]map[string]float64

// tuningVersion changes when forms change what they do under the same name.
const tuningVersion = 1

// tuningEnvironment names what a measurement holds for.
func tuningEnvironment(r *recipe.Recipe) string {
	lib, _ := runtime.Opened()
	kernels := 0
	if haveKernels(r.Provider) {
		kernels = lower.KernelVersionFor(r.Provider)
	}
	if r.Provider == lower.CUDA {
		name, tf32 := "no device", r.CUDA.TF32 == nil || *r.CUDA.TF32
		if d := runtime.ExamineCUDA(lib).Devices; r.CUDA.Device < len(d) {
			name = d[r.CUDA.Device].Name
		}
		return fmt.Sprintf("%d/%s/cuda/%s/tf32 %t/kernels %d", tuningVersion, lib.Version, name, tf32, kernels)
	}
	n := r.Threads
	return fmt.Sprintf("%d/%s/%s/threads %d/block %d/kernels %d",
		tuningVersion, lib.Version, runtime.CPUName(), threads(n), runtime.ChannelBlock(), kernels)
}

// TuningFile is where the measurements are kept: ortrain/tuning.json in the
// user's cache directory.
func TuningFile() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("measurements are kept in the user's cache directory, and there is none: %w", err)
	}
	return filepath.Join(dir, "ortrain", "tuning.json"), nil
}

func readMeasurements() (measurements, error) {
	path, err := TuningFile()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return measurements{}, nil
	}
	if err != nil {
		return nil, err
	}
	m := measurements{}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): delete it", path, err)
	}
	return m, nil
}

func (m measurements) write() error {
	path, err := TuningFile()
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, b)
}

// clearlyFaster is by how much a form must beat the one that the cost rule
// takes: below, a measurement says little, and neighbours that agree on a form
// are worth more.
const clearlyFaster = 0.93

// best returns the fastest form of a node's measured ones if it is clearly
// faster than the rule's.
func best(seconds map[string]float64, rule string) string {
	fastest := rule
	for form, s := range seconds {
		if s < seconds[fastest] || s == seconds[fastest] && form < fastest {
			fastest = form
		}
	}
	if seconds[fastest] < clearlyFaster*seconds[rule] {
		return fastest
	}
	return rule
}

// ruleForm is the entry of a node's measurements that names the cost rule's
// form; no form has an empty name.
const ruleForm = "rule "

var tuned sync.Map // environment → map[string]string

// Choices returns the forms that Tune has found to be the fastest for a recipe's
// provider and threads on this machine, by lower.Key; nil where it has not run.
// The library must be open.
func Choices(r *recipe.Recipe) map[string]string { return choices(r) }

// choices returns the forms that were measured to be the fastest here, nil
// where Tune has not run. Measurements that cannot be read count as none: they
// are a matter of speed.
func choices(r *recipe.Recipe) map[string]string {
	env := tuningEnvironment(r)
	if c, ok := tuned.Load(env); ok {
		return c.(map[string]string)
	}
	var c map[string]string
	if m, err := readMeasurements(); err == nil && len(m[env]) > 0 {
		c = map[string]string{}
		for key, forms := range m[env] {
			rule, seconds := split(forms)
			if b := best(seconds, rule); b != rule {
				c[key] = b
			}
		}
	}
	tuned.Store(env, c)
	return c
}

// split takes the rule's form out of a node's entry.
func split(forms map[string]float64) (rule string, seconds map[string]float64) {
	seconds = map[string]float64{}
	for form, s := range forms {
		if len(form) > len(ruleForm) && form[:len(ruleForm)] == ruleForm {
			rule = form[len(ruleForm):]
			continue
		}
		seconds[form] = s
	}
	return rule, seconds
}
