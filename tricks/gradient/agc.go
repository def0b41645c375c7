package gradient

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed agc.md
var agcCard string

func init() {
	tricks.Register(tricks.Trick{Name: "agc", Kind: tricks.Regularisation, Summary: "adaptive clipping: bound the gradient of each unit in proportion to its weights", Card: agcCard})
}
