package gradient

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed clip_norm.md
var clipNormCard string

func init() {
	tricks.Register(tricks.Trick{Name: "clip_norm", Kind: tricks.Regularisation, Summary: "bound the norm of the whole gradient", Card: clipNormCard})
}
