package network

import _ "embed" // the card

//go:embed mixed_precision.md
var mixedPrecisionCard string

func init() {
	document("mixed_precision", "compute convolutions and products in float16, with a dynamic scale of the loss", mixedPrecisionCard,
		"precision", "precision.type", "precision.loss_scale", "precision.growth_interval")
}

// The scale of the loss in mixed precision: the largest, and after how many
// steps without an overflow it doubles.
const (
	MostLossScale   = 1 << 24
	LossScaleGrowth = 2000
)
