package runtime

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/safetensors"
)

// FuzzDecodeCheckpoint also corrects the checksum of mutated input, so that
// what lies behind it is reached.
func FuzzDecodeCheckpoint(f *testing.F) {
	c := &Checkpoint{ManifestHash: "h", Model: "m", Optimizer: "o", Epoch: 1, Batch: 2, Step: 3, Seed: 4, BestAccuracy: 0.5,
		State: &artifact.State{Params: []float32{1, 2}, Stats: []float32{3}, Slots: [][]float32{{4, 5}}},
		Extra: map[string][]float32{"e": {6}}, slots: []string{"v"}}
	good, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(good[:7])
	f.Add(bytes.Replace(good, []byte(`"epoch":"1"`), []byte(`"epoch":"x"`), 1))
	f.Add(bytes.Replace(good, []byte(`"slot.v"`), []byte(`"params"`), 1))
	f.Add(bytes.Replace(good, []byte(`"stats"`), []byte(`"other"`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if file, err := safetensors.Decode(b); err == nil {
			if digits := file.Metadata[checksumKey]; len(digits) == len(zeroChecksum) {
				stamp(b, digits)
			}
		}
		c, err := decodeCheckpoint(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		again, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeCheckpoint(again)
		if err != nil {
			t.Fatal(err)
		}
		if d.Step != c.Step || d.Seed != c.Seed || len(d.State.Params) != len(c.State.Params) || len(d.Extra) != len(c.Extra) {
			t.Fatalf("%+v became %+v", c, d)
		}
	})
}
