package optimizer

import _ "embed" // the card

//go:embed amsbound.md
var amsboundCard string

func init() {
	register("amsbound", "AdaBound over the largest mean of squared gradients so far", amsboundCard, Rule{WeightDecay: 0})
}
