// Package packed is ortrain's own format for sets of images: a few large
// shards that are mapped into memory, an index of a few bytes an image, and a
// manifest. A folder holds
//
//	packed.json      what there is: classes, sizes, checksums (Manifest)
//	train.index      labels, checksums, places and names of the images
//	train-00000.shard, …  the images one after the other, nothing between them
//
// and the same for validation and test. The images are raw pixels of one size,
// rows from the top and channels interleaved, or files (JPEG…). Numbers are
// little-endian; checksums are CRC-32C.
//
// Opening a part costs one pass over its labels; everything else is read when
// an image is.
package packed

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ManifestFile is the name of the manifest in a pack's folder.
const ManifestFile = "packed.json"

// The parts of a set.
const (
	Train      = "train"
	Validation = "validation"
	Test       = "test"
)

// Parts are the names of the parts in their order.
var Parts = []string{Train, Validation, Test}

// What the images are.
const (
	Raw  = "raw"  // pixels of one size
	File = "file" // image files
)

const (
	format  = "ortrain-packed"
	version = 1
)

// Manifest describes a pack.
type Manifest struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Origin names the data set or format that was packed.
	Origin string `json:"origin"`
	// Pixels is Raw or File.
	Pixels string `json:"pixels"`
	// Width, Height and Channels are those of every image if Pixels is Raw;
	// otherwise Channels alone is set.
	Width    int      `json:"width,omitempty"`
	Height   int      `json:"height,omitempty"`
	Channels int      `json:"channels"`
	Classes  []string `json:"classes"`
	// Parts are what Parts names, where there is such a part.
	Parts map[string]*PartInfo `json:"parts"`
}

// PartInfo describes a part.
type PartInfo struct {
	Images int         `json:"images"`
	Index  FileInfo    `json:"index"`
	Shards []ShardInfo `json:"shards"`
}

// FileInfo is a file with what it must be.
type FileInfo struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	CRC   string `json:"crc32c"` // eight hexadecimal digits
}

// ShardInfo is a shard and the number of its images.
type ShardInfo struct {
	FileInfo
	Images int `json:"images"`
}

var table = crc32.MakeTable(crc32.Castagnoli)

func hexCRC(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// ReadManifest reads and checks the manifest in a folder. Errors name the file.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file; give a folder that 'ortrain data pack' has written", path)
	}
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: not valid JSON: %w", path, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Bounds on what a manifest may claim.
const (
	mostClasses = 1 << 20
	mostSide    = 1 << 14
	mostImages  = 1 << 40
)

func (m *Manifest) check() error {
	switch {
	case m.Format != format:
		return fmt.Errorf("its format is %q, not %q", m.Format, format)
	case m.Version != version:
		return fmt.Errorf("version %d; this program reads version %d: pack the set again", m.Version, version)
	case m.Pixels != Raw && m.Pixels != File:
		return fmt.Errorf("unknown kind of pixels %q", m.Pixels)
	case m.Channels != 1 && m.Channels != 3:
		return fmt.Errorf("images of %d channels; 1 or 3 are possible", m.Channels)
	case m.Pixels == Raw && (m.Width < 1 || m.Width > mostSide || m.Height < 1 || m.Height > mostSide):
		return fmt.Errorf("images of %d×%d pixels", m.Width, m.Height)
	case len(m.Classes) == 0 || len(m.Classes) > mostClasses:
		return fmt.Errorf("%d classes", len(m.Classes))
	case m.Parts[Train] == nil:
		return errors.New("there is no training part")
	}
	for name, p := range m.Parts {
		if p == nil || p.Images < 0 || p.Images > mostImages || p.Index.Bytes < 0 {
			return fmt.Errorf("part %s: impossible numbers", name)
		}
		images, files := 0, []FileInfo{p.Index}
		for _, s := range p.Shards {
			if s.Images < 0 || s.Images > mostImages || s.Bytes < 0 || m.Pixels == Raw && s.Bytes/int64(m.record()) != int64(s.Images) {
				return fmt.Errorf("part %s, shard %s: impossible numbers", name, s.Name)
			}
			images += s.Images
			files = append(files, s.FileInfo)
		}
		if images != p.Images {
			return fmt.Errorf("part %s: its shards hold %d images, not %d", name, images, p.Images)
		}
		for _, f := range files {
			if f.Name == "" || f.Name != filepath.Base(f.Name) || strings.HasPrefix(f.Name, ".") {
				return fmt.Errorf("part %s: %q is no name of a file beside it", name, f.Name)
			}
		}
	}
	return nil
}

// record is the number of bytes of a raw image.
func (m *Manifest) record() int { return m.Width * m.Height * m.Channels }
