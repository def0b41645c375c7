package optimizer

import _ "embed" // the card

//go:embed sgd.md
var sgdCard string

func init() {
	register("sgd", "gradient descent with momentum; Nesterov on request", sgdCard, Rule{Momentum: value(0.9), WeightDecay: 1e-4})
}
