package strict

import (
	"fmt"
	"math"
	"reflect"

	"gopkg.in/yaml.v3"
)

func (d *Decoder) decodeScalar(n *yaml.Node, v reflect.Value, key string) error {
	tag := ""
	if n.Kind == yaml.ScalarNode {
		tag = n.ShortTag()
	}
	var want string
	var ok bool
	switch v.Kind() {
	case reflect.Bool:
		want, ok = "true or false", tag == "!!bool"
	case reflect.Int, reflect.Int64, reflect.Int32:
		want, ok = "an integer", tag == "!!int"
	case reflect.Uint64, reflect.Uint, reflect.Uint32:
		want, ok = "an integer of at least 0", tag == "!!int"
	case reflect.Float64, reflect.Float32:
		want, ok = "a number", tag == "!!int" || tag == "!!float"
	case reflect.String:
		if tag == "!!str" || d.LooseStrings && n.Kind == yaml.ScalarNode {
			v.SetString(n.Value)
			return nil
		}
		want = "a string"
		if n.Kind == yaml.ScalarNode && tag != "!!null" {
			want = "a string (quote it)"
		}
	default:
		panic(fmt.Sprintf("strict: %s has a type that cannot be decoded: %s", key, v.Type()))
	}
	fresh := reflect.New(v.Type())
	if ok {
		ok = n.Decode(fresh.Interface()) == nil
	}
	if ok && (v.Kind() == reflect.Float64 || v.Kind() == reflect.Float32) {
		f := fresh.Elem().Float()
		ok = !math.IsNaN(f) && !math.IsInf(f, 0)
		want = "a finite number"
	}
	if !ok {
		return at(n, key, "expected %s, found %s", want, describe(n))
	}
	v.Set(fresh.Elem())
	return nil
}

// deepest bounds the nesting of values whose shape only a trick knows.
const deepest = 8

// anything decodes a value of unknown type into nil-free scalars, []any and
// map[string]any.
func (d *Decoder) anything(n *yaml.Node, key string, depth int) (any, error) {
	if depth > deepest {
		return nil, at(n, key, "nested too deeply")
	}
	if n.Anchor != "" {
		return nil, at(n, key, "anchors and aliases are not supported")
	}
	switch n.Kind {
	case yaml.ScalarNode:
		var b bool
		var i int
		var f float64
		switch n.ShortTag() {
		case "!!bool":
			if n.Decode(&b) == nil {
				return b, nil
			}
		case "!!int":
			if n.Decode(&i) == nil {
				return i, nil
			}
		case "!!float":
			if n.Decode(&f) == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f, nil
			}
		case "!!str":
			return n.Value, nil
		}
		return nil, at(n, key, "expected a number, a string, true or false, found %s", describe(n))
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			value, err := d.anything(item, fmt.Sprintf("%s.%d", key, i), depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		return out, nil
	case yaml.MappingNode:
		out := map[string]any{}
		err := d.pairs(n, key, func(name, path string, value *yaml.Node) error {
			got, err := d.anything(value, path, depth+1)
			out[name] = got
			return err
		})
		return out, err
	}
	return nil, at(n, key, "anchors and aliases are not supported")
}

// describe says what a node holds, for "expected …, found …".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		value := n.Value
		if r := []rune(value); len(r) > 40 {
			value = string(r[:40]) + "…"
		}
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		if n.ShortTag() == "!!str" {
			return fmt.Sprintf("the string %q", value)
		}
		if !Plain(value) {
			return fmt.Sprintf("%q", value)
		}
		return value
	}
	return "an alias"
}

func at(n *yaml.Node, key, format string, args ...any) *Error {
	e := Errorf(key, format, args...)
	e.Line = n.Line
	return e
}
