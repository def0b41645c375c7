package recipe

import (
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/network"
	"github.com/ortrain/ortrain/tricks/strict"
)

// In what precision a step computes.
const (
	// FullPrecision computes in float32.
	FullPrecision = "float32"
	// MixedPrecision computes convolutions and matrix products in float16; see
	// the card of mixed_precision.
	MixedPrecision = "mixed"
)

// Precision says in what a step computes; in YAML it is a mapping, or just the
// type. The zero value means FullPrecision.
type Precision struct {
	// Type is FullPrecision or MixedPrecision.
	Type string `yaml:"type"`
	// LossScale is what the loss is multiplied by in mixed precision before it is
	// differentiated.
	LossScale LossScale `yaml:"loss_scale,omitempty"`
	// GrowthInterval is after how many steps without an overflow a dynamic scale
	// doubles; 0 means 2000.
	GrowthInterval int `yaml:"growth_interval,omitempty"`
}

// mostGrowth is the longest growth interval, in steps.
const mostGrowth = 1_000_000

// DynamicScale is the LossScale that adapts itself.
const DynamicScale = "dynamic"

// LossScale is a number, or a word, of which there is DynamicScale; the zero
// value means that.
type LossScale struct {
	Word   string
	Number *float64
}

// SetScalar implements strict.Scalar.
func (l *LossScale) SetScalar(word string) { *l = LossScale{Word: word} }

// SetNumber implements strict.Number.
func (l *LossScale) SetNumber(v float64) { *l = LossScale{Number: &v} }

// MarshalYAML implements yaml.Marshaler.
func (l LossScale) MarshalYAML() (any, error) {
	if l.Number != nil {
		return *l.Number, nil
	}
	return l.Word, nil
}

// IsZero makes an absent scale absent in YAML.
func (l LossScale) IsZero() bool { return l == LossScale{} }

// SetScalar implements strict.Scalar.
func (p *Precision) SetScalar(kind string) { *p = Precision{Type: kind} }

// IsZero makes an absent precision absent in YAML.
func (p Precision) IsZero() bool {
	return p.Type == "" && p.LossScale.IsZero() && p.GrowthInterval == 0
}

// Mixed reports whether the step is of mixed precision.
func (p Precision) Mixed() bool { return p.Type == MixedPrecision }

// resolve checks the precision and completes it; float32 is written as nothing.
func (p *Precision) resolve() error {
	switch p.Type {
	case "", FullPrecision:
		if !p.LossScale.IsZero() || p.GrowthInterval != 0 {
			return strict.Errorf("precision.type", "is %s, which scales no loss; did you mean %s?", FullPrecision, MixedPrecision)
		}
		*p = Precision{}
		return nil
	case MixedPrecision:
	default:
		return strict.Errorf("precision.type", "unknown precision %q%s", p.Type, nearest.Hint(p.Type, []string{FullPrecision, MixedPrecision}))
	}
	switch l := &p.LossScale; {
	case l.Number != nil:
		if v := *l.Number; !(v >= 1 && v <= network.MostLossScale) {
			return strict.Errorf("precision.loss_scale", "must be %s, or a number from 1 to %d, got %v", DynamicScale, network.MostLossScale, v)
		}
		if p.GrowthInterval != 0 {
			return strict.Errorf("precision.growth_interval", "is for loss_scale: %s, the scale is %v; remove one of the two", DynamicScale, *l.Number)
		}
		return nil
	case l.Word == "":
		l.Word = DynamicScale
	case l.Word != DynamicScale:
		return strict.Errorf("precision.loss_scale", "must be %s, or a number from 1 to %d, found %q", DynamicScale, network.MostLossScale, l.Word)
	}
	if p.GrowthInterval == 0 {
		p.GrowthInterval = network.LossScaleGrowth
	}
	if n := p.GrowthInterval; n < 1 || n > mostGrowth {
		return strict.Errorf("precision.growth_interval", "must be 1 to %d steps, got %d", mostGrowth, n)
	}
	return nil
}
