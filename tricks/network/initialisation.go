package network

import _ "embed" // the card

//go:embed initialisation.md
var initialisationCard string

func init() {
	document("initialisation", "fill the weights by He's or Xavier's rule", initialisationCard, "model.options.init")
}
