package network

import _ "embed" // the card

//go:embed dropout.md
var dropoutCard string

func init() {
	document("dropout", "drop features at random while training", dropoutCard, "model.options.dropout")
}
