//go:build !unix

package packed

import "os"

// mapping is a file read into memory, where files cannot be mapped.
type mapping struct{ data []byte }

func mapFile(path string) (*mapping, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &mapping{b}, nil
}

func (m *mapping) close() error {
	m.data = nil
	return nil
}
