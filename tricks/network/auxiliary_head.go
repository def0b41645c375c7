package network

import _ "embed" // the card

//go:embed auxiliary_head.md
var auxiliaryHeadCard string

func init() {
	document("auxiliary_head", "a second classifier in the middle joins the training loss", auxiliaryHeadCard, "model.options.aux_weight")
}
