package network

import _ "embed" // the card

//go:embed shakedrop.md
var shakeDropCard string

func init() {
	document("shakedrop", "drop residual branches and shake them, forward and back", shakeDropCard, "model.options.shakedrop", "model.options.shakedrop_level")
}
