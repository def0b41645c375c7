package network

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed bce.md
var bceCard string

func init() {
	tricks.Register(tricks.Trick{Name: "bce", Kind: tricks.Target, Summary: "ask about every class by itself: sigmoid cross-entropy", Card: bceCard})
	Documented["bce"] = []string{"loss"}
}
