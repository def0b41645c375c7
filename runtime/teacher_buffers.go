package runtime

import (
	"context"
	"fmt"
	"math"
	goruntime "runtime"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Float64 is an element type that a teacher may have at its ports.
const Float64 = ElementType(onnx.TensorProto_DOUBLE)

// sizeOf returns the bytes of an element, 0 for types that are not supported.
func sizeOf(t ElementType) int64 {
	switch t {
	case Uint8:
		return 1
	case Float16:
		return 2
	case Float32:
		return 4
	case Float64, Int64:
		return 8
	}
	return 0
}

// teacherBuffers holds what passes between the sessions of a teacher for one
// number of images.
type teacherBuffers struct {
	given   []int64   // shape of the student's images
	images  ort.Value // the model's images; nil without an adapter
	answers ort.Value // the model's answers where a tail follows
	rows    []float32 // n×classes
	result  ort.Value // a tensor over rows
	outputs []ort.Value
	owned   []ort.Value
}

// newBuffers makes the buffers for n images. Without answers the model's
// outputs are all left to the runtime to make.
func (t *Teacher) newBuffers(n int, answers bool) (b *teacherBuffers, err error) {
	b = &teacherBuffers{given: []int64{int64(n), int64(t.given.C), int64(t.given.H), int64(t.given.W)},
		outputs: make([]ort.Value, len(t.model.outputs))}
	defer func() {
		if err != nil {
			b.destroy()
		}
	}()
	if t.adapter != nil {
		shape := []int64{int64(n), int64(t.taken.C), int64(t.taken.H), int64(t.taken.W)}
		if t.taken.NHWC {
			shape = []int64{shape[0], shape[2], shape[3], shape[1]}
		}
		if b.images, err = b.make(t.input.Type, shape); err != nil {
			return nil, err
		}
	}
	if !answers {
		return b, nil
	}
	shape := []int64{int64(n), int64(t.classes)}
	b.rows = aligned(n * t.classes)
	if b.result, err = ort.NewTensor(ort.Shape(shape), b.rows); err != nil {
		return nil, err
	}
	b.owned = append(b.owned, b.result)
	b.outputs[t.outputAt()] = b.result
	if t.tail != nil {
		if b.answers, err = b.make(t.output.Type, shape); err != nil {
			return nil, err
		}
		b.outputs[t.outputAt()] = b.answers
	}
	return b, nil
}

// make makes a tensor of any type.
func (b *teacherBuffers) make(typ ElementType, shape []int64) (v ort.Value, err error) {
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	if most := int64(math.MaxInt32); int64(n) > most {
		return nil, fmt.Errorf("a batch of %v values is too large", shape)
	}
	if typ == Float32 {
		v, err = ort.NewTensor(ort.Shape(shape), aligned(n))
	} else {
		v, err = ort.NewCustomDataTensor(ort.Shape(shape), make([]byte, int64(n)*sizeOf(typ)), ort.TensorElementDataType(typ))
	}
	if err == nil {
		b.owned = append(b.owned, v)
	}
	return v, err
}

// forward carries images through the sessions into b.rows, or, where the
// buffers hold no answers, into b.outputs, which destroy frees.
func (t *Teacher) forward(ctx context.Context, b *teacherBuffers, images []float32) error {
	in, err := ort.NewTensor(ort.Shape(b.given), images)
	if err != nil {
		return err
	}
	defer in.Destroy()
	x := ort.Value(in)
	if t.adapter != nil {
		if err := t.adapter.runValues(ctx, []ort.Value{x}, []ort.Value{b.images}); err != nil {
			return err
		}
		x = b.images
	}
	defer goruntime.KeepAlive(images)
	outputs := append([]ort.Value(nil), b.outputs...)
	if err := t.model.runValues(ctx, []ort.Value{x}, outputs); err != nil {
		return err
	}
	for i, v := range outputs {
		if v == nil || b.outputs[i] != nil {
			continue
		}
		if b.rows == nil {
			b.outputs[i] = v
			b.owned = append(b.owned, v)
			continue
		}
		v.Destroy() // an output that nobody asked for
	}
	if t.tail != nil && b.rows != nil {
		return t.tail.runValues(ctx, []ort.Value{b.answers}, []ort.Value{b.result})
	}
	return nil
}

func (b *teacherBuffers) destroy() {
	for _, v := range b.owned {
		v.Destroy()
	}
	b.owned = nil
}
