package batch

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed ricap.md
var ricapCard string

func init() {
	Mixers.Register(tricks.Trick{
		Name:    "ricap",
		Summary: "patch each image together from random crops of four, targets by area",
		Card:    ricapCard,
	}, func() Options { return &RICAPOptions{Beta: 0.3, Mode: string(PerBatch)} })
}

// RICAP patches four crops into one image. The corner (w, h) in which they
// meet is (round(I_x·Beta(Beta, Beta)), round(I_y·Beta(Beta, Beta))), each
// crop comes from a random place of an image chosen by a permutation of its
// own, and the four targets are weighted by area (Takahashi et al. 2018,
// "RICAP: Random Image Cropping and Patching Data Augmentation for Deep CNNs",
// §3).
type RICAP struct {
	Beta float64
	Mode Mode // PerBatch or PerElement
}

// Sample implements Mixer. Parts 0 to 3 are the upper left, upper right, lower
// left and lower right ones; those of no width or height have weight 0.
func (m RICAP) Sample(r *rng.Stream, s Shape, d *Draw) {
	d.reset(s.N, 4)
	var order [4]rng.Permutation
	for k := range order {
		order[k] = rng.NewKeyedPermutation(s.N, r.Uint64())
	}
	var crops [4]Part
	for i := range s.N {
		if i == 0 || m.Mode == PerElement {
			crops = m.crops(r, s)
		}
		parts := d.Parts(i)
		copy(parts, crops[:])
		for k := range parts {
			parts[k].From = order[k].At(i)
		}
	}
}

// crops draws where the four crops lie, but not from which images.
func (m RICAP) crops(r *rng.Stream, s Shape) (crops [4]Part) {
	w := int(math.RoundToEven(float64(s.W) * beta(r, m.Beta)))
	h := int(math.RoundToEven(float64(s.H) * beta(r, m.Beta)))
	for k, box := range [4]Box{{0, 0, w, h}, {w, 0, s.W, h}, {0, h, w, s.H}, {w, h, s.W, s.H}} {
		crops[k] = Part{
			Box: box, Weight: float64(box.Area()) / float64(s.W*s.H),
			X: r.IntN(s.W - (box.X1 - box.X0) + 1), Y: r.IntN(s.H - (box.Y1 - box.Y0) + 1),
		}
	}
	return crops
}

// Apply implements Mixer.
func (RICAP) Apply(dst, src []float32, s Shape, d *Draw, i int) { patch(dst, src, s, d, i) }

// ApplyBytes implements Paster.
func (RICAP) ApplyBytes(dst, src []uint8, s Shape, d *Draw, i int) { patch(dst, src, s, d, i) }

// patch puts an output image together from its parts.
func patch[T float32 | uint8](dst, src []T, s Shape, d *Draw, i int) {
	parts := d.Parts(i)
	for k := range parts {
		paste(dst, src, s, &parts[k])
	}
}

// RICAPOptions are the recipe keys of RICAP.
type RICAPOptions struct {
	// Beta is the parameter of the Beta distribution; 0 turns RICAP off.
	Beta float64 `yaml:"beta"`
	// Mode is "batch" or "element".
	Mode string `yaml:"mode"`
}

// Validate implements Options.
func (o *RICAPOptions) Validate() error {
	if err := checkBeta("beta", o.Beta); err != nil {
		return err
	}
	return checkMode(o.Mode, PerBatch, PerElement)
}

// Build implements Options.
func (o *RICAPOptions) Build() Mixer {
	if o.Beta == 0 {
		return nil
	}
	return RICAP{Beta: o.Beta, Mode: Mode(o.Mode)}
}
