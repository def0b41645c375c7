package optimizer

import _ "embed" // the card

//go:embed muon.md
var muonCard string

func init() {
	register("muon", "momentum orthogonalised by Newton-Schulz; AdamW or SGD for what is no matrix", muonCard, Rule{Momentum: value(0.95), WeightDecay: 0})
}
