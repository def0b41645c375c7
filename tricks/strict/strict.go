// Package strict decodes YAML into Go structs and refuses whatever the
// structs do not ask for: unknown and repeated keys, values of another type,
// aliases, several documents. Every error names the key, its line and what
// would have been right.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// Lines gives the 1-based line of every dotted key of a document.
type Lines map[string]int

// Scalar is implemented by struct types that may also be written as a plain
// string.
type Scalar interface {
	// SetScalar sets the receiver from the string.
	SetScalar(s string)
}

// Number is implemented by struct types that may also be written as a number.
type Number interface {
	// SetNumber sets the receiver from the number, which is finite.
	SetNumber(v float64)
}

// Parse reads one YAML document. An empty one gives an empty mapping.
func Parse(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	case err != nil:
		return nil, syntaxError(err)
	}
	var next yaml.Node
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxError(err)
		}
		return nil, &Error{Line: next.Line, Problem: "a second document; keep one"}
	}
	node := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		node = doc.Content[0]
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
	}
	return node, nil
}

// syntaxError turns "yaml: line 3: problem" into an Error.
func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, problem, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return &Error{Line: line, Problem: "not valid YAML: " + problem}
			}
		}
	}
	return &Error{Problem: "not valid YAML: " + strings.Join(strings.Fields(text), " ")}
}

// Decoder decodes nodes. The zero value is ready.
type Decoder struct {
	// Lines, if not nil, receives the line of every key met.
	Lines Lines
	// LooseStrings lets a string field take any scalar as it is written, for
	// values that come from a command line, where quotes are inconvenient.
	LooseStrings bool
}

// Decode fills the struct that into points to from a mapping. Keys that are
// absent leave their fields alone, so defaults are set beforehand. Supported
// fields: bool, integers, float64, float32 (finite), string, structs, slices,
// pointers, map[string]string (any scalar value) and, tagged inline, one
// map[string]any that takes the keys the struct does not name. The error is
// an *Error.
func (d *Decoder) Decode(node *yaml.Node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("strict: Decode into %T, not a pointer to a struct", into))
	}
	return d.decode(node, v.Elem(), "")
}

// DecodeMap fills the struct that into points to from a map of option values,
// as Decoder.Decode does.
func DecodeMap(options map[string]any, into any) error {
	return decodeMap(new(Decoder), options, into)
}

func decodeMap(d *Decoder, options map[string]any, into any) error {
	if len(options) == 0 {
		return nil
	}
	var node yaml.Node
	if err := node.Encode(options); err != nil {
		return &Error{Problem: err.Error()}
	}
	clearLines(&node)
	return d.Decode(&node, into)
}

func clearLines(n *yaml.Node) {
	n.Line = 0
	for _, c := range n.Content {
		clearLines(c)
	}
}

func (d *Decoder) decode(n *yaml.Node, v reflect.Value, key string) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return at(n, key, "anchors and aliases are not supported")
	}
	if s, ok := v.Addr().Interface().(Scalar); ok && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		s.SetScalar(n.Value)
		return nil
	}
	if s, ok := v.Addr().Interface().(Number); ok && n.Kind == yaml.ScalarNode {
		var f float64
		if err := d.decodeScalar(n, reflect.ValueOf(&f).Elem(), key); err != nil {
			return at(n, key, "expected a number or a mapping, found %s", describe(n))
		}
		s.SetNumber(f)
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.decodeStruct(n, v, key)
	case reflect.Slice:
		return d.decodeSlice(n, v, key)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		if err := d.decode(n, fresh.Elem(), key); err != nil {
			return err
		}
		v.Set(fresh)
		return nil
	case reflect.Map:
		return d.decodeStrings(n, v, key)
	}
	return d.decodeScalar(n, v, key)
}

// pairs calls f for each key of a mapping.
func (d *Decoder) pairs(n *yaml.Node, key string, f func(name, path string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, key, "expected a mapping, found %s", describe(n))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode || k.ShortTag() == "!!merge" {
			return at(k, key, "anchors and aliases are not supported")
		}
		if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" && !d.LooseStrings || !Plain(k.Value) {
			return at(k, key, "keys must be plain words, found %s", describe(k))
		}
		path := Join(key, k.Value)
		if _, again := seen[k.Value]; again {
			if line := seen[k.Value]; line > 0 {
				return at(k, path, "given twice, first at line %d", line)
			}
			return at(k, path, "given twice")
		}
		seen[k.Value] = k.Line
		if d.Lines != nil && k.Line > 0 {
			d.Lines[path] = k.Line
		}
		if err := f(k.Value, path, value); err != nil {
			var e *Error
			if errors.As(err, &e) && e.Line == 0 {
				e.Line = k.Line
			}
			return err
		}
	}
	return nil
}

// Plain reports whether a key can be printed as it is in a one-line message:
// it is not empty and has no spaces or control characters.
func Plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

func (d *Decoder) decodeStruct(n *yaml.Node, v reflect.Value, key string) error {
	fields := fieldsOf(v.Type())
	return d.pairs(n, key, func(name, path string, value *yaml.Node) error {
		if i, ok := fields.index[name]; ok {
			return d.decode(value, v.Field(i), path)
		}
		if fields.inline < 0 {
			return Errorf(path, "unknown key%s", nearest.Hint(name, fields.names))
		}
		got, err := d.anything(value, path, 0)
		if err != nil {
			return err
		}
		rest := v.Field(fields.inline)
		if rest.IsNil() {
			rest.Set(reflect.MakeMap(rest.Type()))
		}
		rest.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(&got).Elem())
		return nil
	})
}

func (d *Decoder) decodeSlice(n *yaml.Node, v reflect.Value, key string) error {
	if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String && n.ShortTag() == "!!str" {
		one := reflect.MakeSlice(v.Type(), 1, 1)
		one.Index(0).SetString(n.Value)
		v.Set(one)
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return at(n, key, "expected a list, found %s", describe(n))
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		path := Join(key, strconv.Itoa(i))
		if d.Lines != nil && item.Line > 0 {
			d.Lines[path] = item.Line
		}
		if err := d.decode(item, out.Index(i), path); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (d *Decoder) decodeStrings(n *yaml.Node, v reflect.Value, key string) error {
	out := map[string]string{}
	err := d.pairs(n, key, func(name, path string, value *yaml.Node) error {
		if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
			return at(value, path, "expected a single value, found %s", describe(value))
		}
		out[name] = value.Value
		return nil
	})
	if err == nil {
		v.Set(reflect.ValueOf(out).Convert(v.Type()))
	}
	return err
}
