package network

import _ "embed" // the card

//go:embed shake_shake.md
var shakeShakeCard string

func init() {
	document("shake_shake", "mix a block's branches by random factors, others on the way back", shakeShakeCard, "model.options.shake")
}
