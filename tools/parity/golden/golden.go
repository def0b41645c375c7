package golden

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/ortrain/ortrain/runtime/safetensors"
)

// Golden is one network's results within a file.
type Golden struct {
	prefix string
	file   *safetensors.File
}

// Open reads a file of testdata/golden; prefix tells networks that share a
// file apart, such as "preact_b.".
func Open(path, prefix string) (*Golden, error) {
	f, err := safetensors.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &Golden{prefix, f}, nil
}

// Meta returns an entry of the network's metadata, "" if there is none.
func (g *Golden) Meta(key string) string { return g.file.Metadata[g.prefix+key] }

// Number returns an integer of the network's metadata: "batch" or "salt".
func (g *Golden) Number(key string) (int, error) {
	n, err := strconv.Atoi(g.Meta(key))
	if err != nil {
		return 0, fmt.Errorf("golden: metadata %q: %w", g.prefix+key, err)
	}
	return n, nil
}

// Values returns a tensor in row-major order. The README beside the goldens
// lists the names.
func (g *Golden) Values(name string) ([]float64, error) {
	t, ok := g.file.Lookup(g.prefix + name)
	if !ok {
		return nil, fmt.Errorf("golden: no tensor %q", g.prefix+name)
	}
	size := t.DType.Size()
	out := make([]float64, len(t.Data)/size)
	for i := range out {
		switch t.DType {
		case safetensors.F32:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[i*size:])))
		case safetensors.F64:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Data[i*size:]))
		default:
			return nil, fmt.Errorf("golden: tensor %q is of type %s", t.Name, t.DType)
		}
	}
	return out, nil
}
