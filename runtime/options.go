package runtime

import (
	"fmt"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// Optimization says how far ONNX Runtime may rewrite a graph when it loads it.
type Optimization int

const (
	// OptimizeAll is the default: every rewrite, also of the memory layout.
	OptimizeAll Optimization = iota
	// OptimizeExtended stops before layout rewrites.
	OptimizeExtended
	// OptimizeBasic removes redundant nodes and folds constants.
	OptimizeBasic
	// OptimizeNone runs the graph as written.
	OptimizeNone
)

var optimizationLevels = map[Optimization]ort.GraphOptimizationLevel{
	OptimizeAll:      ort.GraphOptimizationLevelEnableAll,
	OptimizeExtended: ort.GraphOptimizationLevelEnableExtended,
	OptimizeBasic:    ort.GraphOptimizationLevelEnableBasic,
	OptimizeNone:     ort.GraphOptimizationLevelDisableAll,
}

// Options configure a session. The zero value is the right start on a CPU.
type Options struct {
	// Provider executes the graph: "" or "cpu", or "cuda".
	Provider string
	// CUDA are the options of provider cuda.
	CUDA CUDA
	// Threads work on one operator together; 0 means ThreadCount's choice.
	Threads int
	// Spinning keeps idle threads busy waiting for the next operator. That is
	// a few percent faster on a machine of one's own, and far slower where
	// other work wants the cores: the loader, or another program.
	Spinning bool
	// NoMemoryPattern and NoArena trade speed for a smaller footprint: the
	// first plans no memory ahead, the second returns it after every run.
	NoMemoryPattern bool
	NoArena         bool
	Optimization    Optimization
	// Profile, if set, is the prefix of a JSON trace of every operator,
	// completed when the session is closed.
	Profile string
	// OptimizedModel, if set, is where the graph is written as it is run.
	OptimizedModel string
	// Kernels, if set, adds the kernel library's operators.
	Kernels *Kernels
	// Config passes further session settings by their ONNX Runtime keys.
	Config map[string]string
}

// sessionProviders lists what Options.Provider may name, with what sets it up.
var sessionProviders = map[string]func(Options, *ort.SessionOptions) error{
	"":         func(Options, *ort.SessionOptions) error { return nil },
	lower.CPU:  func(Options, *ort.SessionOptions) error { return nil },
	lower.CUDA: func(o Options, n *ort.SessionOptions) error { return o.CUDA.addTo(n) },
}

// CheckProvider reports a provider that there is not.
func CheckProvider(name string) error {
	if _, ok := sessionProviders[name]; !ok {
		return fmt.Errorf("unknown provider %q%s", name, nearest.Hint(name, []string{lower.CPU, lower.CUDA}))
	}
	return nil
}

// device tells that the provider computes beside the processor, with memory of
// its own.
func (o Options) device() bool { return o.Provider == lower.CUDA }

// ThreadCount returns the number of threads that a session works with. Unless
// Threads says it, that is DefaultThreads; a device, to which they only hand
// work, needs one, and leaves the others to the data loader, unless the CPU runs
// what it cannot.
func (o Options) ThreadCount() int {
	switch {
	case o.Threads > 0:
		return o.Threads
	case o.device() && !o.CUDA.Fallback:
		return 1
	}
	return DefaultThreads()
}

// build makes the native options; the caller destroys them.
func (o Options) build() (*ort.SessionOptions, error) {
	if o.Threads < 0 {
		return nil, fmt.Errorf("threads: %d; give a positive number, or 0 for one per core", o.Threads)
	}
	if err := CheckProvider(o.Provider); err != nil {
		return nil, err
	}
	level, ok := optimizationLevels[o.Optimization]
	if !ok {
		return nil, fmt.Errorf("unknown optimization level %d", o.Optimization)
	}
	n, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	set := []error{
		n.SetIntraOpNumThreads(o.ThreadCount()),
		n.SetInterOpNumThreads(1),
		n.SetExecutionMode(ort.ExecutionModeSequential),
		n.SetGraphOptimizationLevel(level),
		n.SetMemPattern(!o.NoMemoryPattern),
		n.SetCpuMemArena(!o.NoArena),
		n.SetLogSeverityLevel(ort.LoggingLevelFatal),
		n.AddSessionConfigEntry("session.intra_op.allow_spinning", strconv.Itoa(btoi(o.Spinning))),
		// Between two runs the cores belong to the data loader.
		n.AddSessionConfigEntry("session.force_spinning_stop", "1"),
	}
	if o.Profile != "" {
		set = append(set, n.EnableProfiling(o.Profile))
	}
	if o.OptimizedModel != "" {
		set = append(set, n.SetOptimizedModelFilePath(o.OptimizedModel))
	}
	for key, value := range o.Config {
		set = append(set, n.AddSessionConfigEntry(key, value))
	}
	set = append(set, sessionProviders[o.Provider](o, n))
	if o.Kernels != nil {
		set = append(set, o.Kernels.addTo(n))
	}
	for _, err := range set {
		if err != nil {
			n.Destroy()
			return nil, fmt.Errorf("session options: %w", err)
		}
	}
	return n, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
