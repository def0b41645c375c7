package recipe

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// mostDifferences is how many differences Difference tells.
const mostDifferences = 3

// Difference says in words in which keys two recipes lead to different runs,
// such as "batch: 32, now 64"; empty if they do not. What Hash leaves out does
// not count.
func Difference(before, now *Recipe) (string, error) {
	a, err := before.keys()
	if err != nil {
		return "", err
	}
	b, err := now.keys()
	if err != nil {
		return "", err
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	var said []string
	more := 0
	for _, key := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[key]
		y, inB := b[key]
		switch {
		case inA && inB && x == y:
			continue
		case len(said) == mostDifferences:
			more++
			continue
		case !inA:
			x = "not set"
		case !inB:
			y = "not set"
		}
		said = append(said, fmt.Sprintf("%s: %s, now %s", key, x, y))
	}
	if more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; "), nil
}

// Differences returns for each of some recipes the dotted keys, with their
// values, that are not alike in all; a recipe without a key has no value of it.
// What Hash leaves out does not count.
func Differences(recipes ...*Recipe) ([]map[string]string, error) {
	all := make([]map[string]string, len(recipes))
	for i, r := range recipes {
		var err error
		if all[i], err = r.keys(); err != nil {
			return nil, err
		}
	}
	alike := func(key, value string) bool {
		for _, keys := range all {
			if v, ok := keys[key]; !ok || v != value {
				return false
			}
		}
		return true
	}
	out := make([]map[string]string, len(all))
	for i, keys := range all {
		out[i] = map[string]string{}
		for key, value := range keys {
			if !alike(key, value) {
				out[i][key] = value
			}
		}
	}
	return out, nil
}

// keys are the dotted keys of the recipe's essence with their values.
func (r *Recipe) keys() (map[string]string, error) {
	text, err := r.essence()
	if err != nil {
		return nil, err
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	flat := map[string]string{}
	flatten(flat, "", tree)
	return flat, nil
}

func flatten(into map[string]string, key string, v any) {
	within := func(name string) string {
		if key == "" {
			return name
		}
		return key + "." + name
	}
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			flatten(into, within(name), x)
		}
	case []any:
		for i, x := range v {
			flatten(into, within(fmt.Sprint(i)), x)
		}
		if len(v) == 0 {
			into[key] = "empty"
		}
	case string:
		into[key] = v
		if v == "" {
			into[key] = `""`
		}
	default:
		into[key] = fmt.Sprint(v)
	}
}
