package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/safetensors"
)

// CheckpointFile is the usual name of a run's checkpoint.
const CheckpointFile = "checkpoint.safetensors"

// checkpointFormat is the version of the layout below.
const checkpointFormat = "1"

// A checkpoint is refused with an error that wraps one of these.
var (
	// ErrNotCheckpoint: the file is something else.
	ErrNotCheckpoint = errors.New("not a checkpoint")
	// ErrDamaged: the file is cut short or its checksum is wrong.
	ErrDamaged = errors.New("damaged checkpoint")
	// ErrOtherModel: the checkpoint is of another model, optimizer or layout.
	ErrOtherModel = errors.New("checkpoint of another model")
)

// Checkpoint is everything a training run needs to go on as if it had never
// stopped. On disk it is one safetensors file: the F32 vectors "params",
// "slot.NAME" and "stats", "extra.NAME" for further vectors, and the rest as
// metadata. The same checkpoint always gives the same bytes.
type Checkpoint struct {
	// ManifestHash, Model and Optimizer identify the artifact set.
	ManifestHash     string
	Model, Optimizer string
	// Epoch counts the epochs completed, Batch the batches of the next one,
	// Step all steps.
	Epoch, Batch int
	Step         int64
	Seed         uint64
	// RecipeHash identifies the resolved recipe.
	RecipeHash string
	// BestAccuracy is the best test accuracy so far, between 0 and 1.
	BestAccuracy float64
	// Schedule is the JSON state of schedules and stopping rules, if any.
	Schedule string
	State    *artifact.State
	// Extra holds further vectors of any length by name, such as a moving
	// average of the parameters; nil if there are none.
	Extra map[string][]float32

	// slots are the names of State.Slots.
	slots []string
}

// Snapshot makes the checkpoint of a trainer's present state, which it views
// rather than copies: write it before the next step. The caller fills in the
// run's position and seed.
func (t *Trainer) Snapshot() *Checkpoint {
	c := &Checkpoint{Step: t.step, State: t.View()}
	c.identify(t.manifest)
	return c
}

// Restore brings the trainer to a checkpoint read with its manifest.
func (t *Trainer) Restore(c *Checkpoint) error {
	if c.ManifestHash != t.manifest.Hash {
		return fmt.Errorf("%w: %s", ErrOtherModel, c.difference(t.manifest))
	}
	if err := t.SetState(c.State); err != nil {
		return err
	}
	t.step = c.Step
	return nil
}

func (c *Checkpoint) identify(m *artifact.Manifest) {
	c.ManifestHash, c.Model, c.Optimizer, c.slots = m.Hash, m.Model.Name, m.Optimizer.Name, nil
	for _, s := range m.Slots {
		c.slots = append(c.slots, s.Name)
	}
}

// difference says how the checkpoint and a manifest disagree.
func (c *Checkpoint) difference(m *artifact.Manifest) string {
	have := c.Model + " with " + c.Optimizer
	want := m.Model.Name + " with " + m.Optimizer.Name
	if have == want {
		return fmt.Sprintf("it is of %s with other classes, input size or options than this run's", have)
	}
	return fmt.Sprintf("it is of %s, this run trains %s", have, want)
}

// WriteCheckpoint writes the checkpoint of a run of the manifest's artifact
// set to path. The previous file stays until the new one is complete and on
// the disk.
func WriteCheckpoint(path string, m *artifact.Manifest, c *Checkpoint) error {
	if err := checkState(m, c.State); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	whole := *c
	whole.identify(m)
	b, err := whole.encode()
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return atomicfile.Write(path, b)
}

// ReadCheckpoint reads a checkpoint and checks that it is whole and of the
// manifest's artifact set. Errors are one line that names the file and wraps
// ErrNotCheckpoint, ErrDamaged or ErrOtherModel.
func ReadCheckpoint(path string, m *artifact.Manifest) (*Checkpoint, error) {
	c, err := InspectCheckpoint(path)
	if err == nil {
		err = c.Fit(path, m)
	}
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w; go back to an earlier one or start again", err)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Fit checks that a checkpoint is of the manifest's artifact set and brings its
// slots into the manifest's order. Errors are ReadCheckpoint's, of which path is
// the file.
func (c *Checkpoint) Fit(path string, m *artifact.Manifest) error {
	if c.ManifestHash != m.Hash {
		return fmt.Errorf("%s: %w: %s", path, ErrOtherModel, c.difference(m))
	}
	if err := c.arrange(m); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return nil
}

// InspectCheckpoint reads a checkpoint and checks that it is whole, whatever
// model it is of. Slots are in the order of their names.
func InspectCheckpoint(path string) (*Checkpoint, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no checkpoint at %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read checkpoint %s: %w", path, atomicfile.Cause(err))
	}
	c, err := decodeCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Names of tensors and metadata. The checksum is a SHA-256 over the whole
// file with the checksum's own digits as zeros.
const (
	slotPrefix  = "slot."
	extraPrefix = "extra."
	checksumKey = "sha256"
	formatKey   = "ortrain_checkpoint"
)

var zeroChecksum = strings.Repeat("0", 2*sha256.Size)

func (c *Checkpoint) encode() ([]byte, error) {
	f := safetensors.File{Metadata: map[string]string{
		formatKey:       checkpointFormat,
		"manifest":      c.ManifestHash,
		"model":         c.Model,
		"optimizer":     c.Optimizer,
		"epoch":         strconv.Itoa(c.Epoch),
		"batch":         strconv.Itoa(c.Batch),
		"step":          strconv.FormatInt(c.Step, 10),
		"seed":          strconv.FormatUint(c.Seed, 10),
		"recipe":        c.RecipeHash,
		"best_accuracy": strconv.FormatFloat(c.BestAccuracy, 'g', -1, 64),
		"schedule":      c.Schedule,
		checksumKey:     zeroChecksum,
	}}
	vector := func(name string, v []float32) {
		f.Tensors = append(f.Tensors, safetensors.Float32(name, []int{len(v)}, v))
	}
	vector(artifact.Params, c.State.Params)
	vector(artifact.Stats, c.State.Stats)
	if c.State.LossScale != nil {
		vector(artifact.LossScale, c.State.LossScale)
	}
	for i, name := range c.slots {
		vector(slotPrefix+name, c.State.Slots[i])
	}
	for name, v := range c.Extra {
		vector(extraPrefix+name, v)
	}
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		return nil, err
	}
	if !stamp(b.Bytes(), zeroChecksum) {
		return nil, errors.New("checksum field not found")
	}
	return b.Bytes(), nil
}

// stamp replaces the digits that b carries as its checksum with the right
// ones, and tells whether it carries them.
func stamp(b []byte, digits string) bool {
	at := checksumAt(b, digits)
	if at < 0 {
		return false
	}
	copy(b[at:], zeroChecksum)
	sum := sha256.Sum256(b)
	hex.Encode(b[at:], sum[:])
	return true
}

// checksumAt finds the digits of the checksum in an encoded checkpoint. The
// pattern cannot occur within a JSON string, whose quotes are escaped.
func checksumAt(b []byte, digits string) int {
	mark := `"` + checksumKey + `":"`
	i := bytes.Index(b, []byte(mark+digits+`"`))
	if i < 0 {
		return -1
	}
	return i + len(mark)
}

func decodeCheckpoint(b []byte) (*Checkpoint, error) {
	f, err := safetensors.Decode(b)
	if errors.Is(err, safetensors.ErrTruncated) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCheckpoint, err)
	}
	format, ok := f.Metadata[formatKey]
	if !ok {
		return nil, fmt.Errorf("%w: a safetensors file without a training position", ErrNotCheckpoint)
	}
	if format != checkpointFormat {
		return nil, fmt.Errorf("%w: its format is %q, this version reads %s", ErrNotCheckpoint, format, checkpointFormat)
	}
	if err := verifyChecksum(b, f.Metadata[checksumKey]); err != nil {
		return nil, err
	}
	c := &Checkpoint{ManifestHash: f.Metadata["manifest"], Model: f.Metadata["model"], Optimizer: f.Metadata["optimizer"],
		RecipeHash: f.Metadata["recipe"], Schedule: f.Metadata["schedule"], State: &artifact.State{}}
	if err := c.decodeNumbers(f.Metadata); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCheckpoint, err)
	}
	if err := c.decodeVectors(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCheckpoint, err)
	}
	return c, nil
}

func verifyChecksum(b []byte, digits string) error {
	at := -1
	if len(digits) == len(zeroChecksum) {
		at = checksumAt(b, digits)
	}
	if at < 0 {
		return fmt.Errorf("%w: it carries no checksum", ErrDamaged)
	}
	h := sha256.New()
	h.Write(b[:at])
	h.Write([]byte(zeroChecksum))
	h.Write(b[at+len(zeroChecksum):])
	if hex.EncodeToString(h.Sum(nil)) != digits {
		return fmt.Errorf("%w: its checksum does not match its content", ErrDamaged)
	}
	return nil
}

func (c *Checkpoint) decodeNumbers(meta map[string]string) (err error) {
	parse := func(key string, f func(string) error) {
		if err == nil && f(meta[key]) != nil {
			err = fmt.Errorf("its %s is %q", key, meta[key])
		}
	}
	count := func(key string, into *int64) {
		parse(key, func(s string) (e error) {
			if *into, e = strconv.ParseInt(s, 10, 64); *into < 0 {
				return strconv.ErrRange
			}
			return e
		})
	}
	var epoch, batch int64
	count("epoch", &epoch)
	count("batch", &batch)
	count("step", &c.Step)
	c.Epoch, c.Batch = int(epoch), int(batch)
	parse("seed", func(s string) (e error) { c.Seed, e = strconv.ParseUint(s, 10, 64); return })
	parse("best_accuracy", func(s string) (e error) { c.BestAccuracy, e = strconv.ParseFloat(s, 64); return })
	return err
}

func (c *Checkpoint) decodeVectors(f *safetensors.File) error {
	found := map[string]bool{}
	for _, t := range f.Tensors {
		v, err := t.Float32s()
		if err != nil {
			return err
		}
		if len(t.Shape) != 1 {
			return fmt.Errorf("its %s is not a vector", t.Name)
		}
		found[t.Name] = true
		if name, ok := strings.CutPrefix(t.Name, slotPrefix); ok {
			c.slots = append(c.slots, name)
			c.State.Slots = append(c.State.Slots, v)
		} else if name, ok := strings.CutPrefix(t.Name, extraPrefix); ok {
			if c.Extra == nil {
				c.Extra = map[string][]float32{}
			}
			c.Extra[name] = v
		} else if t.Name == artifact.Params {
			c.State.Params = v
		} else if t.Name == artifact.Stats {
			c.State.Stats = v
		} else if t.Name == artifact.LossScale {
			c.State.LossScale = v
		} else {
			return fmt.Errorf("it holds an unknown vector %q", t.Name)
		}
	}
	if !found[artifact.Params] || !found[artifact.Stats] {
		return errors.New("it lacks parameters or statistics")
	}
	return nil
}

// arrange puts the slots into the manifest's order.
func (c *Checkpoint) arrange(m *artifact.Manifest) error {
	byName := map[string][]float32{}
	for i, name := range c.slots {
		byName[name] = c.State.Slots[i]
	}
	if len(byName) != len(m.Slots) {
		return fmt.Errorf("it has the slots %v, %d are expected", c.slots, len(m.Slots))
	}
	c.State.Slots = nil
	for _, s := range m.Slots {
		v, ok := byName[s.Name]
		if !ok {
			return fmt.Errorf("it lacks the slot %s", s.Name)
		}
		c.State.Slots = append(c.State.Slots, v)
	}
	c.identify(m)
	return checkState(m, c.State)
}

// Slots returns the names of the state's slots, in its order.
func (c *Checkpoint) Slots() []string { return c.slots }
