package strict

import (
	"fmt"
	"reflect"
	"strings"
)

// fieldSet is what the yaml tags of a struct type say.
type fieldSet struct {
	index  map[string]int
	names  []string // in field order
	inline int      // index of the catch-all, or -1
}

func fieldsOf(t reflect.Type) fieldSet {
	fs := fieldSet{index: map[string]int{}, inline: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, flags, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if strings.Contains(flags, "inline") {
			if f.Type != reflect.TypeFor[map[string]any]() {
				panic(fmt.Sprintf("strict: inline field %s.%s is not a map[string]any", t, f.Name))
			}
			fs.inline = i
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fs.index[name] = i
		fs.names = append(fs.names, name)
	}
	return fs
}

// Keys returns the keys that a struct, or a pointer to one, takes, in the
// order of its fields, without those of an inline map.
func Keys(of any) []string {
	t := reflect.TypeOf(of)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return fieldsOf(t).names
}
