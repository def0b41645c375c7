// Package network documents the tricks that live in the graph of a network or
// in the way a step runs it. They are built in graphs/nn and graphs/models; a
// recipe turns them on by the keys that their cards name.
package network

import "github.com/ortrain/ortrain/tricks"

// Documented maps each trick of this package to the recipe keys that it has:
// options of models under "model.options." and keys of the recipe itself.
var Documented = map[string][]string{}

func document(name, summary, card string, keys ...string) {
	tricks.Register(tricks.Trick{Name: name, Kind: tricks.Regularisation, Summary: summary, Card: card})
	Documented[name] = keys
}
