package batch

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed repeated.md
var repeatedCard string

// Repeated augmentation is a matter of which images a batch holds, so the
// loader of package data carries it out; here is its card.
func init() {
	tricks.Register(tricks.Trick{
		Name:    "repeated_augmentation",
		Kind:    tricks.Batch,
		Summary: "show each image several times in a batch, augmented differently",
		Card:    repeatedCard,
	})
}
