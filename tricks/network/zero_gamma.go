package network

import _ "embed" // the card

//go:embed zero_gamma.md
var zeroGammaCard string

func init() {
	document("zero_gamma", "start residual blocks as the identity", zeroGammaCard, "model.options.zero_gamma")
}
