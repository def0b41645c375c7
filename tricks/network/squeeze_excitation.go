package network

import _ "embed" // the card

//go:embed squeeze_excitation.md
var squeezeExcitationCard string

func init() {
	document("squeeze_excitation", "gate the channels of each residual branch", squeezeExcitationCard, "model.options.se")
}
