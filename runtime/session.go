package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/handlers"
)

// ErrNotOpen is returned where a session is made before Open.
var ErrNotOpen = errors.New("ONNX Runtime is not open: call FindLibrary and Open first")

// Session is a loaded model. It may run in several goroutines at a time, each
// with output tensors of its own.
type Session struct {
	name            string
	native          *ort.DynamicAdvancedSession
	inputs, outputs []Port
	metadata        map[string]string
	// arena tells that the session keeps its memory between runs; ran that it
	// has run before.
	arena bool
	ran   atomic.Bool
	// device tells that it runs beside the processor, with memory of its own.
	device bool
	// softmax tells whether the first output comes out of a softmax.
	softmax bool
}

// NewSession loads a model file. Errors name the file.
func NewSession(path string, o Options) (*Session, error) {
	model, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return newSession(path, model, o, func(in, out []string, n *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSession(path, in, out, n)
	})
}

// NewSessionFromBytes loads an encoded model; name stands for it in errors.
// The bytes are not kept.
func NewSessionFromBytes(name string, data []byte, o Options) (*Session, error) {
	model, err := onnx.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return newSession(name, model, o, func(in, out []string, n *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSessionWithONNXData(data, in, out, n)
	})
}

// layoutNodes bounds the graphs whose memory layout ONNX Runtime rewrites. The
// time of that grows with the square of the nodes: ResNet-1202's step (94,000)
// loads in some 20 to 70 s without, and did not in 105 s with it. A step's weights are
// computed, which the rewrite leaves alone anyway.
const layoutNodes = 40_000

// opening lets one session with a kernel library be made at a time: of two, ONNX
// Runtime sometimes does not know the library's operators.
var opening sync.Mutex

type opener func(inputs, outputs []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error)

func newSession(name string, model *onnx.ModelProto, o Options, open opener) (*Session, error) {
	if _, ok := Opened(); !ok {
		return nil, ErrNotOpen
	}
	s := &Session{name: name, metadata: map[string]string{}, arena: !o.NoArena, device: o.device()}
	var err error
	if s.inputs, s.outputs, err = ports(model); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.softmax = endsInSoftmax(model.GetGraph())
	if o.Optimization == OptimizeAll && len(model.GetGraph().GetNode()) > layoutNodes {
		o.Optimization = OptimizeExtended
	}
	for _, p := range model.GetMetadataProps() {
		s.metadata[p.GetKey()] = p.GetValue()
	}
	if o.Provider == lower.CUDA {
		config, err := o.CUDA.place(name, model, o.Kernels)
		if err != nil {
			return nil, err
		}
		o.Config = merged(config, o.Config)
	}
	if o.Kernels != nil {
		opening.Lock()
		defer opening.Unlock()
	}
	// The CUDA provider takes the process's signals.
	handlers.Keep(func() { err = s.load(o, open) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// load makes the native session.
func (s *Session) load(o Options, open opener) error {
	options, err := o.build()
	if err != nil {
		return err
	}
	defer options.Destroy()
	if s.native, err = open(portNames(s.inputs), portNames(s.outputs), options); err != nil {
		return fmt.Errorf("%s: ONNX Runtime does not load it: %w", s.name, nativeError(err))
	}
	return nil
}

// merged joins session settings; later ones win.
func merged(configs ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, c := range configs {
		maps.Copy(all, c)
	}
	return all
}

func portNames(ps []Port) []string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.Name
	}
	return names
}

// Name returns the path or name that the session was made from.
func (s *Session) Name() string { return s.name }

// Inputs and Outputs return the model's ports in its order; the caller must
// not change them.
func (s *Session) Inputs() []Port  { return s.inputs }
func (s *Session) Outputs() []Port { return s.outputs }

// Metadata returns the model's metadata properties; the caller must not
// change them.
func (s *Session) Metadata() map[string]string { return s.metadata }

// Run executes the model: every input and every output by name, each with a
// tensor of the declared type and shape. Results are written into the output
// tensors' memory. Nothing is run when a tensor does not fit; the error names
// it.
func (s *Session) Run(inputs, outputs map[string]*Tensor) error {
	return s.RunContext(context.Background(), inputs, outputs)
}

// bind puts tensors into the order of the ports.
func (s *Session) bind(role string, ports []Port, tensors map[string]*Tensor) ([]*Tensor, error) {
	bound := make([]*Tensor, len(ports))
	for i, p := range ports {
		t, ok := tensors[p.Name]
		if !ok {
			return nil, fmt.Errorf("%s: %s %s is not given", s.name, role, p)
		}
		if err := p.accepts(t); err != nil {
			return nil, fmt.Errorf("%s: %s %w", s.name, role, err)
		}
		bound[i] = t
	}
	if len(tensors) > len(ports) {
		for name := range tensors {
			if indexOf(ports, name) < 0 {
				return nil, fmt.Errorf("%s: it has no %s named %q; it has %v", s.name, role, name, portNames(ports))
			}
		}
	}
	return bound, nil
}

func indexOf(ports []Port, name string) int {
	for i, p := range ports {
		if p.Name == name {
			return i
		}
	}
	return -1
}

// RunContext is Run that ends early, with the context's error, when the
// context is done; what the outputs hold is then undefined.
func (s *Session) RunContext(ctx context.Context, inputs, outputs map[string]*Tensor) error {
	in, err := s.bind("input", s.inputs, inputs)
	if err != nil {
		return err
	}
	out, err := s.bind("output", s.outputs, outputs)
	if err != nil {
		return err
	}
	return s.runContext(ctx, in, out)
}

// run executes with tensors in the order of the ports.
func (s *Session) run(in, out []*Tensor) error {
	return s.runContext(context.Background(), in, out)
}

func (s *Session) runContext(ctx context.Context, in, out []*Tensor) error {
	err := s.runValues(ctx, values(in), values(out))
	// The native call sees addresses only: keep the memory until it is done.
	goruntime.KeepAlive(in)
	goruntime.KeepAlive(out)
	return err
}

// runValues is runContext with the runtime's own values; outputs that are nil
// are made.
func (s *Session) runValues(ctx context.Context, in, out []ort.Value) error {
	if s.native == nil {
		return fmt.Errorf("%s: the session is closed", s.name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	options, release, err := runOptions(ctx, s.arena && !s.ran.Swap(true))
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	err = s.native.RunWithOptions(in, out, options)
	release()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, nativeError(err))
	}
	return nil
}

// runOptions makes the options of one run, which ONNX Runtime abandons between
// two operators once the context is done; a session's first run returns its
// memory. They are nil where neither applies. The caller releases them when
// the run is over.
func runOptions(ctx context.Context, first bool) (o *ort.RunOptions, release func(), err error) {
	if ctx.Done() == nil && !first {
		return nil, func() {}, nil
	}
	if o, err = ort.NewRunOptions(); err != nil {
		return nil, nil, fmt.Errorf("run options: %w", err)
	}
	if first {
		returnMemory(o)
	}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		o.Terminate()
		close(over)
	})
	return o, func() {
		if !stop() {
			<-over // it has begun, and needs the options
		}
		o.Destroy()
	}, nil
}

func values(ts []*Tensor) []ort.Value {
	vs := make([]ort.Value, len(ts))
	for i, t := range ts {
		vs[i] = t.value
	}
	return vs
}

// Close frees the session; no run may be going on. Closing twice is harmless.
func (s *Session) Close() error {
	if s == nil || s.native == nil {
		return nil
	}
	err := s.native.Destroy()
	s.native = nil
	returnFreed()
	if err != nil {
		return fmt.Errorf("%s: close: %w", s.name, err)
	}
	return nil
}

// outputShape runs a model of one input whose outputs' size is not known
// beforehand, and returns the shape of the first.
func (s *Session) outputShape(x *Tensor) ([]int64, error) {
	out := make([]ort.Value, len(s.outputs))
	err := s.native.Run(values([]*Tensor{x}), out)
	goruntime.KeepAlive(x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, nativeError(err))
	}
	for _, v := range out {
		defer v.Destroy()
	}
	return out[0].GetShape(), nil
}
