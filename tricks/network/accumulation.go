package network

import _ "embed" // the card

//go:embed accumulation.md
var accumulationCard string

func init() {
	document("gradient_accumulation", "take a large batch in parts whose gradients add up", accumulationCard, "accumulate")
}
