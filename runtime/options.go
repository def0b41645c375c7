package runtime

import (
	"fmt"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
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
	// Provider executes the graph: "" or "cpu".
	Provider string
	// Threads work on one operator together; 0 means DefaultThreads.
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

// providers lists what Options.Provider may name, with what sets it up.
var sessionProviders = map[string]func(*ort.SessionOptions) error{
	"":    func(*ort.SessionOptions) error { return nil },
	"cpu": func(*ort.SessionOptions) error { return nil },
	"cuda": func(*ort.SessionOptions) error {
		return fmt.Errorf("provider cuda is not supported yet; use cpu")
	},
}

// CheckProvider reports a provider that sessions cannot use.
func CheckProvider(name string) error {
	setUp, ok := sessionProviders[name]
	if !ok {
		return fmt.Errorf("unknown provider %q; known: cpu", name)
	}
	if name == "cuda" {
		return setUp(nil)
	}
	return nil
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
	threads := o.Threads
	if threads == 0 {
		threads = DefaultThreads()
	}
	set := []error{
		n.SetIntraOpNumThreads(threads),
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
	set = append(set, sessionProviders[o.Provider](n))
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
