// Package tricks is the catalogue of training tricks: one name, one summary
// and one card each, whatever kind of thing the trick is.
//
// A trick is one Go file (with its card, a Markdown file of the same name, in
// the same folder) in the sub-package of its kind: tricks/schedule,
// tricks/pixel, tricks/target. The file registers the trick in an init
// function; nothing else has to be edited for it to be selectable from a
// recipe, listed and documented.
package tricks

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// Kind says what a trick acts on.
type Kind string

// The kinds of tricks.
const (
	Schedule       Kind = "schedule"       // the learning rate, by optimizer step
	Warmup         Kind = "warmup"         // the start of a learning-rate schedule
	Pixel          Kind = "pixel"          // one image, in the loader
	Sampling       Kind = "sampling"       // which images an epoch shows
	Batch          Kind = "batch"          // a whole batch of images and targets
	Target         Kind = "target"         // the soft targets
	Regularisation Kind = "regularisation" // the network or the averaging of its weights
	Optimizer      Kind = "optimizer"      // the update rule
	Stopping       Kind = "stopping"       // when a run ends
)

// Trick describes one entry of the catalogue.
type Trick struct {
	// Name selects the trick in a recipe: lower-case letters, digits and
	// underscores, unique over all kinds.
	Name string
	Kind Kind
	// Summary is one line without a final full stop.
	Summary string
	// Card is a Markdown text: formula, source, defaults, deviations from the
	// source, suggested settings.
	Card string
}

var catalogue = map[string]Trick{}

// Register adds a trick to the catalogue. It is meant for init functions and
// panics when an entry is incomplete or its name is taken.
func Register(t Trick) {
	switch {
	case !validName(t.Name):
		panic(fmt.Sprintf("tricks: invalid name %q", t.Name))
	case t.Kind == "" || t.Summary == "" || strings.TrimSpace(t.Card) == "":
		panic(fmt.Sprintf("tricks: %s needs a kind, a summary and a card", t.Name))
	}
	if _, taken := catalogue[t.Name]; taken {
		panic(fmt.Sprintf("tricks: %s registered twice", t.Name))
	}
	catalogue[t.Name] = t
}

func validName(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return s != ""
}

// Lookup returns the trick of that name. The error for an unknown name
// suggests the nearest one.
func Lookup(name string) (Trick, error) {
	if t, ok := catalogue[name]; ok {
		return t, nil
	}
	var names []string
	for _, t := range All("") {
		names = append(names, t.Name)
	}
	return Trick{}, fmt.Errorf("unknown trick %q%s", name, nearest.Hint(name, names))
}

// All returns the tricks of a kind, or of every kind if kind is empty, sorted
// by kind and name.
func All(kind Kind) []Trick {
	var all []Trick
	for _, t := range catalogue {
		if kind == "" || t.Kind == kind {
			all = append(all, t)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Kind != all[j].Kind {
			return all[i].Kind < all[j].Kind
		}
		return all[i].Name < all[j].Name
	})
	return all
}
