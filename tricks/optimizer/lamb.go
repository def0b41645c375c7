package optimizer

import _ "embed" // the card

//go:embed lamb.md
var lambCard string

func init() {
	register("lamb", "AdamW with a rate per layer, in proportion to the weights over the step", lambCard, Rule{WeightDecay: 0.01})
}
