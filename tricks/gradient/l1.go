package gradient

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed l1.md
var l1Card string

func init() {
	tricks.Register(tricks.Trick{Name: "l1", Kind: tricks.Regularisation, Summary: "L1 regularisation of the weights", Card: l1Card})
}
