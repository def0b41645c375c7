package optimizer

import _ "embed" // the card

//go:embed adabound.md
var adaboundCard string

func init() {
	register("adabound", "Adam whose step sizes are clipped to bounds that close on SGD's", adaboundCard, Rule{WeightDecay: 0})
}
