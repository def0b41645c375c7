package artifact

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// SourceFile is the file of a set that holds the model an imported network was
// read from, with its weights.
const SourceFile = "source.onnx"

// Import is a network that was read from an ONNX file.
type Import struct {
	Network *models.Model
	// File is the model with its weights inside; the set keeps it, so that the
	// network can be built again.
	File []byte
	// Head is the name that the head was given; empty if it was found.
	Head string
}

// Network returns the network that the specification names.
func (s Spec) Network() (*models.Model, error) {
	if s.Import != nil {
		return s.Import.Network, nil
	}
	model, ok := models.Lookup(s.Model)
	if !ok {
		return nil, fmt.Errorf("artifact: unknown model %q", s.Model)
	}
	return model, nil
}

// model returns the network that the manifest describes.
func (m *Manifest) model() (*models.Model, error) {
	switch {
	case m.imported != nil:
		return m.imported, nil
	case m.Model.Source != "":
		return nil, fmt.Errorf("artifact: the network of %s is in %s, which has not been read", m.Model.Name, m.Model.Source)
	}
	model, ok := models.Lookup(m.Model.Name)
	if !ok {
		return nil, fmt.Errorf("artifact: unknown model %q", m.Model.Name)
	}
	return model, nil
}

// readSource reads the imported network of a set in dir, if it has one.
func (m *Manifest) readSource(dir string) error {
	if m.Model.Source == "" {
		return nil
	}
	path := filepath.Join(dir, SourceFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if digest(b) != m.Model.SourceHash {
		return fmt.Errorf("artifact: %s is not the file its manifest describes (damaged or changed)", path)
	}
	model, err := onnx.Unmarshal(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	source, err := importer.Parse(model, m.Model.Name, "", importer.Options{Head: m.Model.Head})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.imported = source.Model()
	return nil
}
