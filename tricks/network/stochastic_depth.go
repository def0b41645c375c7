package network

import _ "embed" // the card

//go:embed stochastic_depth.md
var stochasticDepthCard string

func init() {
	document("stochastic_depth", "let images skip residual blocks at random while training", stochasticDepthCard, "model.options.stochastic_depth", "model.options.drop_path")
}
