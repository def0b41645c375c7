package network

import _ "embed" // the card

//go:embed weight_decay.md
var weightDecayCard string

func init() {
	document("weight_decay", "pull weights towards zero, norms and biases excepted", weightDecayCard, "optimizer.weight_decay", "optimizer.decay_norm_and_bias")
}
