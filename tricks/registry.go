package tricks

import (
	"fmt"
	"sort"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// Registry holds the tricks of one kind together with their options. T is the
// interface that every options struct of the kind implements; what it can
// build is the business of the kind's package.
type Registry[T any] struct {
	kind     Kind
	defaults map[string]func() T
}

// NewRegistry returns an empty registry of a kind.
func NewRegistry[T any](kind Kind) *Registry[T] {
	return &Registry[T]{kind: kind, defaults: map[string]func() T{}}
}

// Register adds a trick to the registry and to the catalogue; its kind is the
// registry's. defaults returns a fresh pointer to the trick's options struct,
// filled with the default values; its yaml tags are the keys a recipe may
// set. It panics as the package's Register does.
func (r *Registry[T]) Register(t Trick, defaults func() T) {
	r.RegisterAs(t.Name, t, defaults)
}

// RegisterAs is Register for a trick that a recipe selects by a shorter name
// than the catalogue's, such as warm-up kind "gradual" for "gradual_warmup".
func (r *Registry[T]) RegisterAs(name string, t Trick, defaults func() T) {
	t.Kind = r.kind
	Register(t)
	if _, taken := r.defaults[name]; taken {
		panic(fmt.Sprintf("tricks: %s %s registered twice", r.kind, name))
	}
	r.defaults[name] = defaults
}

// Defaults returns the options of the named trick at their default values,
// owned by the caller. The error for an unknown name suggests the nearest
// one.
func (r *Registry[T]) Defaults(name string) (T, error) {
	if f, ok := r.defaults[name]; ok {
		return f(), nil
	}
	var none T
	return none, fmt.Errorf("unknown %s %q%s", r.noun(), name, nearest.Hint(name, r.Names()))
}

// noun is what an error calls an entry: a schedule, but a pixel trick.
func (r *Registry[T]) noun() string {
	switch r.kind {
	case Pixel, Batch, Target:
		return string(r.kind) + " trick"
	}
	return string(r.kind)
}

// Names returns the names a recipe may use, sorted.
func (r *Registry[T]) Names() []string {
	names := make([]string, 0, len(r.defaults))
	for n := range r.defaults {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
