package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Write stores the set in dir, which is created when missing. Each file is
// written beside its place and renamed, the manifest last, so that a folder
// with a manifest is whole. The manifest's Files are filled in.
func (s *Set) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("artifact: cannot make folder %s: %w", dir, err)
	}
	s.Manifest.Files = map[string]string{}
	if s.Source != nil {
		if err := atomicfile.Write(filepath.Join(dir, SourceFile), s.Source); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		model *onnx.ModelProto
	}{{StepFile, s.Step}, {EvalFile, s.Eval}, {InferFile, s.Infer}} {
		b, err := Encode(f.model)
		if err != nil {
			return fmt.Errorf("artifact: %s: %w", f.name, err)
		}
		if err := atomicfile.Write(filepath.Join(dir, f.name), b); err != nil {
			return err
		}
		s.Manifest.Files[f.name] = digest(b)
	}
	b, err := json.MarshalIndent(s.Manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("artifact: encode manifest: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, ManifestFile), append(b, '\n'))
}

// Encode encodes a model that is about to be written and has it read back by an
// independent reader, which checks its structure (package check).
func Encode(m *onnx.ModelProto) ([]byte, error) {
	b, err := onnx.Marshal(m)
	if err != nil {
		return nil, err
	}
	if _, err := check.Bytes(b); err != nil {
		return nil, fmt.Errorf("the model that was built is unsound, which is a fault of this program: %w", err)
	}
	return b, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Read reads the manifest of the set in dir and checks that the model files
// are the ones it describes.
func Read(dir string) (*Manifest, error) {
	m, err := ReadManifest(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{StepFile, EvalFile, InferFile} {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("artifact: %w", err)
		}
		if digest(b) != m.Files[name] {
			return nil, fmt.Errorf("artifact: %s is not the file its manifest describes (damaged or changed); build the set again", path)
		}
	}
	return m, m.readSource(dir)
}

// ReadManifest reads and validates a manifest file alone.
func ReadManifest(path string) (*Manifest, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("artifact: no manifest at %s; is the folder a training run?", path)
	}
	if err != nil {
		return nil, fmt.Errorf("artifact: %w", err)
	}
	m, err := ParseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// maxState bounds the state vectors a manifest may ask for: 2³¹ elements.
const maxState = 1 << 31

// ParseManifest decodes and validates a manifest.
func ParseManifest(b []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("artifact: manifest is not valid JSON of the expected layout: %w", err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("artifact: manifest has format %d, this version reads %d", m.Format, Format)
	}
	if m.Batch < 1 || m.Model.Classes < 1 {
		return nil, fmt.Errorf("artifact: manifest has batch %d and %d classes; both must be positive", m.Batch, m.Model.Classes)
	}
	for _, d := range m.Model.Input {
		if d < 1 {
			return nil, fmt.Errorf("artifact: manifest has input %v; dimensions must be positive", m.Model.Input)
		}
	}
	if err := m.Pixels.check(m.Model.Input[0]); err != nil {
		return nil, err
	}
	if err := validLayout("parameters", m.Parameters); err != nil {
		return nil, err
	}
	if err := validLayout("statistics", m.Statistics); err != nil {
		return nil, err
	}
	offset := 0
	for _, r := range m.Random {
		if r.Size < 1 || r.Size > maxState || r.Offset != offset || !(r.Keep >= 0 && r.Keep < 1) {
			return nil, fmt.Errorf("artifact: manifest asks for %d random numbers %q at %d, kept with probability %g", r.Size, r.Name, r.Offset, r.Keep)
		}
		if offset += r.Size; offset > maxState {
			return nil, fmt.Errorf("artifact: manifest asks for more than %d random numbers", maxState)
		}
	}
	if len(m.Parameters) == 0 {
		return nil, errors.New("artifact: manifest lists no parameters")
	}
	if err := m.Precision.Check(); err != nil {
		return nil, err
	}
	if m.Hash != m.hash() {
		return nil, errors.New("artifact: manifest hash does not match its content; it was edited or damaged")
	}
	return m, nil
}

func validLayout(what string, ts []TensorInfo) error {
	offset, seen := 0, map[string]bool{}
	for _, t := range ts {
		size := 1
		for _, d := range t.Shape {
			if d < 1 || d > maxState || size > maxState/d {
				return fmt.Errorf("artifact: %s: %q has shape %v", what, t.Name, t.Shape)
			}
			size *= d
		}
		if t.Name == "" || seen[t.Name] {
			return fmt.Errorf("artifact: %s: name %q is empty or taken", what, t.Name)
		}
		seen[t.Name] = true
		if t.Offset != offset || t.Size != size {
			return fmt.Errorf("artifact: %s: %q lies at %d with %d elements, want %d with %d", what, t.Name, t.Offset, t.Size, offset, size)
		}
		if err := t.Init.Validate(); err != nil {
			return fmt.Errorf("artifact: %s: %q: %w", what, t.Name, err)
		}
		if offset += size; offset > maxState {
			return fmt.Errorf("artifact: %s exceed %d elements", what, maxState)
		}
	}
	return nil
}
