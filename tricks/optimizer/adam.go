package optimizer

import _ "embed" // the card

//go:embed adam.md
var adamCard string

func init() {
	register("adam", "steps of about the learning rate, whatever the size of the gradients", adamCard, Rule{WeightDecay: 0})
}
