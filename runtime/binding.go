package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"

	ort "github.com/yalue/onnxruntime_go"
)

// binding runs a session with inputs that stay bound from run to run. A value is
// brought to the device when it is bound: what does not change, such as the
// parameters of a network under evaluation, makes the way once instead of with
// every run. Its owner closes it; the values that are bound must stay as they
// are until then. It serves one goroutine.
type binding struct {
	session *Session
	native  *ort.IoBinding
	kept    map[string]*Tensor // keeps the memory that is bound
}

// bindInputs binds some of the inputs.
func (s *Session) bindInputs(kept map[string]*Tensor) (*binding, error) {
	if s.native == nil {
		return nil, fmt.Errorf("%s: the session is closed", s.name)
	}
	native, err := s.native.CreateIoBinding()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, nativeError(err))
	}
	b := &binding{session: s, native: native, kept: kept}
	for name, t := range kept {
		if err := b.input(name, t); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *binding) input(name string, t *Tensor) error {
	return b.put("input", b.session.inputs, name, t, b.native.BindInput)
}

func (b *binding) put(role string, ports []Port, name string, t *Tensor, bind func(string, ort.Value) error) error {
	at := indexOf(ports, name)
	if at < 0 {
		return fmt.Errorf("%s: it has no %s named %q; it has %v", b.session.name, role, name, portNames(ports))
	}
	if err := ports[at].accepts(t); err != nil {
		return fmt.Errorf("%s: %s %w", b.session.name, role, err)
	}
	if err := bind(name, t.value); err != nil {
		return fmt.Errorf("%s: %s %s: %w", b.session.name, role, name, nativeError(err))
	}
	return nil
}

// run executes with the remaining inputs, and with every output. It begins
// nothing when the context is done; a run that has begun is not abandoned.
func (b *binding) run(ctx context.Context, inputs, outputs map[string]*Tensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n := len(b.kept) + len(inputs); n != len(b.session.inputs) {
		return fmt.Errorf("%s: %d inputs are given, it has %v", b.session.name, n, portNames(b.session.inputs))
	}
	for name, t := range inputs {
		if err := b.input(name, t); err != nil {
			return err
		}
	}
	for name, t := range outputs {
		if err := b.put("output", b.session.outputs, name, t, b.native.BindOutput); err != nil {
			return err
		}
	}
	err := b.session.native.RunWithBinding(b.native)
	// The native call sees addresses only: keep the memory until it is done.
	goruntime.KeepAlive(b)
	goruntime.KeepAlive(inputs)
	goruntime.KeepAlive(outputs)
	if err != nil {
		return fmt.Errorf("%s: %w", b.session.name, nativeError(err))
	}
	return nil
}

// close frees the binding. Closing twice, or none, is harmless.
func (b *binding) close() {
	if b != nil {
		b.native.Destroy()
	}
}
