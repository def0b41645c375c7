package optimizer

import _ "embed" // the card

//go:embed adamw.md
var adamwCard string

func init() {
	register("adamw", "Adam with decoupled weight decay", adamwCard, Rule{WeightDecay: 0.01})
}
