package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gopkg.in/yaml.v3"
)

// Marshal returns the recipe as YAML: keys in a fixed order, options sorted
// by name, so that equal recipes give equal bytes. Of a resolved recipe it is
// the full record of a run, and Parse reads it back.
func (r *Recipe) Marshal() ([]byte, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return buf.Bytes(), nil
}

// Hash returns the hexadecimal SHA-256 of the resolved recipe without what
// cannot change the numbers: where the data lies, how many workers load it
// and in which form, how often a checkpoint is written, how many steps a run
// takes, on which device. (Another device rounds differently.)
func (r *Recipe) Hash() (string, error) {
	text, err := r.essence()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// essence is the text of the resolved recipe without what Hash leaves out.
func (r *Recipe) essence() ([]byte, error) {
	full, err := r.Resolve()
	if err != nil {
		return nil, err
	}
	full.Data.Dir, full.Data.Workers, full.Data.Images = "", 0, ""
	full.Checkpoint = Checkpoint{}
	full.StepsPerRun = 0
	// A run may move to another device: its state is the same there.
	full.Provider, full.CUDA = Default().Provider, CUDA{}
	full.Teacher = full.Teacher.portable()
	return full.Marshal()
}
