package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/ortrain/ortrain/runtime/safetensors"
	"github.com/ortrain/ortrain/runtime/weights/pickle"
)

// A file of torch.save is one pickle that refers to storages: flat arrays that
// lie beside it, of which tensors are views. Since PyTorch 1.6 both are records
// of a zip archive (data.pkl, data/0, data/1, …). Before, a file was a sequence
// of pickles (a magic number, the protocol's version, facts about the machine,
// the value, the list of storages) followed by the storages, each as its length
// and its bytes.

// storage is a flat array; data is nil until it has been found.
type storage struct {
	key   string
	dtype safetensors.DType
	data  []byte
}

// storageTypes are the classes of typed storages.
var storageTypes = map[string]safetensors.DType{
	"FloatStorage": safetensors.F32, "DoubleStorage": safetensors.F64, "HalfStorage": safetensors.F16,
	"BFloat16Storage": safetensors.BF16, "LongStorage": safetensors.I64, "IntStorage": safetensors.I32,
	"ShortStorage": safetensors.I16, "CharStorage": safetensors.I8, "ByteStorage": safetensors.U8, "BoolStorage": safetensors.Bool,
}

// view is what _rebuild_tensor makes: a tensor without a name.
type view struct {
	from   *storage
	offset int
	shape  []int
	stride []int
}

// loader collects the storages that a pickle refers to.
type loader struct {
	storages map[string]*storage
	order    []*storage
}

func (l *loader) machine() *pickle.Machine {
	return &pickle.Machine{Global: global, Persistent: l.persistent}
}

// global knows the names that a file of tensors needs.
func global(module, name string) any {
	switch module + "." + name {
	case "collections.OrderedDict":
		return pickle.Callable(orderedDict)
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return pickle.Callable(rebuildTensor)
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		return pickle.Callable(func(args pickle.Tuple) (any, error) {
			if len(args) == 0 {
				return nil, errors.New("a parameter without a tensor")
			}
			return args[0], nil
		})
	case "torch.Size", "torch.device":
		return pickle.Callable(func(args pickle.Tuple) (any, error) { return args, nil })
	}
	if d, ok := storageTypes[name]; ok && (module == "torch" || module == "torch.cuda") {
		return d
	}
	return nil
}

// orderedDict makes a dict of nothing, or of a list of pairs.
func orderedDict(args pickle.Tuple) (any, error) {
	d := &pickle.Dict{}
	if len(args) == 0 {
		return d, nil
	}
	list, ok := args[0].(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("%w: an ordered dict of a %T", pickle.ErrFormat, args[0])
	}
	for _, item := range list.Items {
		var pair []any
		switch p := item.(type) {
		case pickle.Tuple:
			pair = p
		case *pickle.List:
			pair = p.Items
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("%w: an ordered dict with an item that is no pair", pickle.ErrFormat)
		}
		d.Keys, d.Values = append(d.Keys, pair[0]), append(d.Values, pair[1])
	}
	return d, nil
}

// rebuildTensor takes (storage, offset, shape, stride, …).
func rebuildTensor(args pickle.Tuple) (any, error) {
	bad := fmt.Errorf("%w: a tensor with unreadable place, shape or strides", pickle.ErrFormat)
	if len(args) < 4 {
		return nil, bad
	}
	s, ok := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := numbers(args[2])
	stride, ok4 := numbers(args[3])
	if !ok || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || offset < 0 {
		return nil, bad
	}
	return &view{from: s, offset: int(offset), shape: shape, stride: stride}, nil
}

// mostDimensions is more than any network's.
const mostDimensions = 16

// numbers reads a tuple of numbers that are not negative.
func numbers(v any) ([]int, bool) {
	t, ok := v.(pickle.Tuple)
	if !ok || len(t) > mostDimensions {
		return nil, false
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > 1<<40 {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}

// persistent resolves ("storage", type, key, device, elements[, view]).
func (l *loader) persistent(id any) (any, error) {
	bad := fmt.Errorf("%w: it refers to something that is no storage", pickle.ErrFormat)
	t, ok := id.(pickle.Tuple)
	if !ok || len(t) < 5 {
		return nil, bad
	}
	dtype, ok := t[1].(safetensors.DType)
	key, ok2 := t[2].(string)
	if t[0] != "storage" || !ok || !ok2 {
		return nil, bad
	}
	if len(t) > 5 && t[5] != nil {
		return nil, fmt.Errorf("%w: storages that are parts of others (PyTorch before 0.4); load and save it with a newer PyTorch", pickle.ErrFormat)
	}
	if s := l.storages[key]; s != nil {
		if s.dtype != dtype {
			return nil, fmt.Errorf("%w: storage %q is of two types", pickle.ErrFormat, key)
		}
		return s, nil
	}
	s := &storage{key: key, dtype: dtype}
	l.storages[key] = s
	l.order = append(l.order, s)
	return s, nil
}

// decodeZip reads the format since PyTorch 1.6.
func decodeZip(b []byte) ([]*Tensor, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("%w: the archive is damaged or cut short: %w", pickle.ErrFormat, err)
	}
	records := map[string]*zip.File{}
	root, found := "", false
	for _, f := range z.File {
		records[f.Name] = f
		if dir, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && !found {
			root, found = dir, true
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: a zip archive without data.pkl", ErrFormat)
	}
	if records[root+"constants.pkl"] != nil {
		return nil, fmt.Errorf("%w: it is a TorchScript program; save the network's state_dict instead", ErrFormat)
	}
	if order := records[root+"byteorder"]; order != nil {
		if text, err := stored(b, order); err != nil || string(text) != "little" {
			return nil, fmt.Errorf("%w: its numbers are not little-endian", ErrFormat)
		}
	}
	program, err := stored(b, records[root+"data.pkl"])
	if err != nil {
		return nil, err
	}
	l := &loader{storages: map[string]*storage{}}
	value, _, err := l.machine().Load(program)
	if err != nil {
		return nil, err
	}
	for _, s := range l.order {
		f := records[root+"data/"+s.key]
		if f == nil {
			return nil, fmt.Errorf("%w: storage %q is missing", pickle.ErrFormat, s.key)
		}
		if s.data, err = stored(b, f); err != nil {
			return nil, err
		}
	}
	return stateDict(value)
}

// stored returns the bytes of a record. PyTorch compresses none, and a
// compressed one could hold more than fits into memory.
func stored(b []byte, f *zip.File) ([]byte, error) {
	at, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%w: record %q: %w", pickle.ErrFormat, f.Name, err)
	}
	if f.Method != zip.Store || at < 0 || f.UncompressedSize64 > uint64(len(b)) || uint64(at)+f.UncompressedSize64 > uint64(len(b)) {
		return nil, fmt.Errorf("%w: record %q is compressed or cut short", pickle.ErrFormat, f.Name)
	}
	return b[at : at+int64(f.UncompressedSize64)], nil
}

// magic is the number 0x1950a86a20f9469cfc6c that the old format begins with.
var magic = []byte{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}

// decodeLegacy reads the format before PyTorch 1.6.
func decodeLegacy(b []byte) ([]*Tensor, error) {
	at := 0
	l := &loader{storages: map[string]*storage{}}
	next := func(m *pickle.Machine) (any, error) {
		v, n, err := m.Load(b[at:])
		at += n
		return v, err
	}
	plain := &pickle.Machine{Global: global}
	first, err := next(plain)
	if err != nil {
		return nil, err
	}
	if number, ok := first.([]byte); !ok || !bytes.Equal(number, magic) {
		return nil, fmt.Errorf("%w: a pickle that torch.save did not write", ErrFormat)
	}
	version, err := next(plain)
	if err != nil {
		return nil, err
	}
	if version != int64(1001) {
		return nil, fmt.Errorf("%w: PyTorch's file format %v is unknown", ErrFormat, version)
	}
	facts, err := next(plain)
	if err != nil {
		return nil, err
	}
	if d, ok := facts.(*pickle.Dict); ok {
		if little, ok := d.Lookup("little_endian"); ok && little == false {
			return nil, fmt.Errorf("%w: its numbers are not little-endian", ErrFormat)
		}
	}
	value, err := next(l.machine())
	if err != nil {
		return nil, err
	}
	keys, err := next(plain)
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("%w: its list of storages is missing", pickle.ErrFormat)
	}
	rest := b[at:]
	for _, k := range list.Items {
		key, _ := k.(string)
		s := l.storages[key]
		if s == nil {
			return nil, fmt.Errorf("%w: it lists storage %.40q, which no tensor uses", pickle.ErrFormat, key)
		}
		if len(rest) < 8 {
			return nil, fmt.Errorf("%w: it is cut short before storage %q", pickle.ErrFormat, key)
		}
		n := binary.LittleEndian.Uint64(rest)
		rest = rest[8:]
		size := uint64(s.dtype.Size())
		if n > uint64(len(rest))/size {
			return nil, fmt.Errorf("%w: it is cut short within storage %q", pickle.ErrFormat, key)
		}
		s.data, rest = rest[:n*size], rest[n*size:]
	}
	return stateDict(value)
}

// wrappers are the keys under which training scripts keep a state dict.
var wrappers = []string{"state_dict", "model_state_dict", "model", "net", "network", "weights", "params"}

// stateDict finds the named tensors in what a file holds.
func stateDict(value any) ([]*Tensor, error) {
	d, ok := value.(*pickle.Dict)
	if !ok {
		return nil, fmt.Errorf("%w: it holds a %T, not a state dict", ErrFormat, value)
	}
	for _, key := range wrappers {
		if v, ok := d.Lookup(key); ok {
			if inner, ok := v.(*pickle.Dict); ok {
				d = inner
				break
			}
		}
	}
	var ts []*Tensor
	for i, k := range d.Keys {
		name, ok := k.(string)
		v, ok2 := d.Values[i].(*view)
		if !ok || !ok2 {
			continue // optimizer state, epoch numbers and the like
		}
		t, err := v.tensor(name)
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	if len(ts) == 0 {
		return nil, fmt.Errorf("%w: it holds no dict of named tensors, nor one under %s", ErrFormat, strings.Join(wrappers, ", "))
	}
	return ts, nil
}

// tensor checks that the view lies within its storage.
func (v *view) tensor(name string) (*Tensor, error) {
	if v.from.data == nil {
		return nil, fmt.Errorf("%w: %q lies in storage %q, which is missing", pickle.ErrFormat, name, v.from.key)
	}
	have := len(v.from.data) / v.from.dtype.Size()
	last, n := v.offset, 1
	for i, d := range v.shape {
		// More elements than the storage has would be repeated ones: no
		// parameter is, and a small file could ask for any memory.
		if d == 0 || n > have/d || v.stride[i] > have {
			return nil, fmt.Errorf("%w: %q of shape %v does not fit its storage of %d elements", pickle.ErrFormat, name, v.shape, have)
		}
		n *= d
		last += (d - 1) * v.stride[i]
	}
	if last >= have {
		return nil, fmt.Errorf("%w: %q of shape %v does not fit its storage of %d elements", pickle.ErrFormat, name, v.shape, have)
	}
	return &Tensor{Name: name, Shape: v.shape, DType: v.from.dtype, data: v.from.data, offset: v.offset, stride: v.stride}, nil
}
