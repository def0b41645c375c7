package data

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/data/packed"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func init() {
	registerFormat(Definition{
		Name:    "packed",
		Summary: "what 'ortrain data pack' writes: images in a few memory-mapped shards",
		Layout:  packed.ManifestFile + ", *.index and *.shard",
		Index:   indexPacked,
		Describe: func(d recipe.Data) (recipe.DataSet, error) {
			return describePack(d.Dir)
		},
	})
	detectors = append(detectors, detector{"packed", func(path string, entries []string) bool {
		return slices.Contains(entries, packed.ManifestFile) || filepath.Base(path) == packed.ManifestFile
	}})
}

// packFolder is the folder of a pack, which may be given as its manifest.
func packFolder(path string) string {
	if filepath.Base(path) == packed.ManifestFile {
		return filepath.Dir(path)
	}
	return path
}

// describePack returns what a recipe takes from a pack: of a data set that is
// packed as it is, all that it has.
func describePack(dir string) (recipe.DataSet, error) {
	if dir == "" {
		return recipe.DataSet{}, errors.New("packed: give the folder of the pack (--data-dir)")
	}
	m, err := packed.ReadManifest(packFolder(dir))
	if err != nil {
		return recipe.DataSet{}, err
	}
	set := recipe.DataSet{Mean: usualMean, Std: usualStd, Augment: cropResizedAndMirror(), Size: usualSide}
	if m.Pixels == packed.Raw {
		set.Size = m.Width
	}
	if m.Channels == 1 {
		set.Mean, set.Std = usualMean[:1], usualStd[:1]
	}
	if d, ok := catalogue[m.Origin]; ok && m.Pixels == packed.Raw && d.Size == (pixel.Size{W: m.Width, H: m.Height, C: m.Channels}) {
		set.Mean, set.Std, set.Augment = d.Mean, d.Std, d.Augment
	}
	return set, nil
}

// packedImages is a Source over raw pixels in a pack. Read gives the size in
// which they were packed.
type packedImages struct {
	part    *packed.Part
	classes []string
	stored  pixel.Size
	size    pixel.Size
}

func (p *packedImages) Len() int          { return p.part.Len() }
func (p *packedImages) Size() pixel.Size  { return p.size }
func (p *packedImages) Classes() []string { return p.classes }
func (p *packedImages) Label(i int) int   { return p.part.Label(i) }
func (p *packedImages) Counts() []int     { return p.part.Counts() }
func (p *packedImages) Name(i int) string { return p.part.Name(i) }

// Read implements Source without copying.
func (p *packedImages) Read(i int, dst *pixel.Image) error {
	b, err := p.part.Bytes(i)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name(i), err)
	}
	dst.Size, dst.Pix = p.stored, b
	return nil
}

// packedFiles is an Encoded over image files in a pack.
type packedFiles struct{ packedImages }

// Bytes implements Encoded without copying.
func (p *packedFiles) Bytes(i int, _ []byte) ([]byte, error) {
	b, err := p.part.Bytes(i)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(i), err)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("%s: %w", p.Name(i), errEmpty)
	}
	return b, nil
}

func (p *packedFiles) Read(i int, dst *pixel.Image) error { return readStored(p, i, dst) }

func indexPacked(_ *Definition, o Options) (*Parts, error) {
	if o.Dir == "" {
		return nil, errors.New("packed: give the folder of the pack as data.dir (--data-dir)")
	}
	dir := packFolder(o.Dir)
	m, err := packed.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	size := o.side()
	size.C = m.Channels
	stored := pixel.Size{W: m.Width, H: m.Height, C: m.Channels}
	if o.Size == 0 && m.Pixels == packed.Raw {
		size = stored
	}
	parts := &Parts{}
	for i, into := range []**Subset{&parts.Train, &parts.Validation, &parts.Test} {
		name := packed.Parts[i]
		if m.Parts[name] == nil {
			continue
		}
		p, err := m.Open(dir, name)
		if err != nil {
			return nil, err
		}
		images := packedImages{part: p, classes: m.Classes, stored: stored, size: size}
		var s Source = &images
		if m.Pixels == packed.File {
			s = &packedFiles{images}
		}
		*into = Whole(s)
	}
	return parts, nil
}
