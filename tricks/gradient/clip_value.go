package gradient

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed clip_value.md
var clipValueCard string

func init() {
	tricks.Register(tricks.Trick{Name: "clip_value", Kind: tricks.Regularisation, Summary: "bound every element of the gradient", Card: clipValueCard})
}
