package network

import _ "embed" // the card

//go:embed batch_norm.md
var batchNormCard string

func init() {
	document("batch_norm", "normalise every channel by the statistics of the batch", batchNormCard)
}
