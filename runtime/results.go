package runtime

import (
	"fmt"
	goruntime "runtime"

	ort "github.com/yalue/onnxruntime_go"
)

// Bytes returns the tensor's memory if it is uint8, else nil.
func (t *Tensor) Bytes() []uint8 {
	d, _ := t.data.([]uint8)
	return d
}

// Results executes the model and returns its outputs by name, in memory that
// ONNX Runtime allocates: for models whose output shapes follow from the
// inputs. The caller closes the tensors, after which their memory must not be
// used. Outputs must be float32, int64 or uint8.
func (s *Session) Results(inputs map[string]*Tensor) (map[string]*Tensor, error) {
	in, err := s.bind("input", s.inputs, inputs)
	if err != nil {
		return nil, err
	}
	if s.native == nil {
		return nil, fmt.Errorf("%s: the session is closed", s.name)
	}
	out := make([]ort.Value, len(s.outputs))
	err = s.native.Run(values(in), out)
	goruntime.KeepAlive(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, nativeError(err))
	}
	results := map[string]*Tensor{}
	for i, v := range out {
		t := &Tensor{value: v, typ: s.outputs[i].Type, shape: v.GetShape()}
		switch v := v.(type) {
		case *ort.Tensor[float32]:
			t.data = v.GetData()
		case *ort.Tensor[int64]:
			t.data = v.GetData()
		case *ort.Tensor[uint8]:
			t.data = v.GetData()
		default:
			for _, v := range out {
				v.Destroy()
			}
			return nil, fmt.Errorf("%s: output %s is of a type that is not read here", s.name, s.outputs[i])
		}
		results[s.outputs[i].Name] = t
	}
	return results, nil
}
