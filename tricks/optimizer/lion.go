package optimizer

import _ "embed" // the card

//go:embed lion.md
var lionCard string

func init() {
	register("lion", "the sign of the momentum; one slot", lionCard, Rule{WeightDecay: 0})
}
