package optimizer

import _ "embed" // the card

//go:embed rmsprop.md
var rmspropCard string

func init() {
	register("rmsprop", "the gradient over its running root mean square", rmspropCard, Rule{Momentum: value(0), WeightDecay: 0})
}
