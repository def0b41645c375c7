package optimizer

import _ "embed" // the card

//go:embed lars.md
var larsCard string

func init() {
	register("lars", "SGD with a rate per layer, in proportion to the weights over the gradient", larsCard, Rule{Momentum: value(0.9), WeightDecay: 1e-4})
}
