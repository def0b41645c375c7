package job

import (
	"maps"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/tricks/recipe"
)

// compare finds the keys in which the runs' recipes differ.
func (l *RunList) compare() error {
	var recipes []*recipe.Recipe
	var at []int
	for i := range l.Runs {
		// A recipe of another version, or of files that are gone, may no longer
		// be complete.
		if r := l.Runs[i].recipe; r != nil && r.Validate() == nil {
			recipes, at = append(recipes, r), append(at, i)
		}
	}
	differ, err := recipe.Differences(recipes...)
	if err != nil {
		return err
	}
	usual := majority(differ)
	for k, keys := range differ {
		departs := map[string]string{}
		for key, most := range usual {
			value, ok := keys[key]
			if !ok {
				value = unset
			}
			if value != most && !slices.Contains([]string{"model.name", "data.name", "seed", "epochs"}, key) {
				departs[key] = value
			}
		}
		maps.DeleteFunc(departs, func(key, _ string) bool { return follows(key, departs, differ) })
		l.Runs[at[k]].Differs = departs
	}
	return nil
}

// unset stands for the value of a key that a recipe does not have.
const unset = "none"

// majority returns every key of some recipes with the value that more than half
// of them have; empty if no value is in so many.
func majority(recipes []map[string]string) map[string]string {
	usual := map[string]string{}
	for _, keys := range recipes {
		for key := range keys {
			if _, done := usual[key]; done {
				continue
			}
			count := map[string]int{}
			for _, other := range recipes {
				value, ok := other[key]
				if !ok {
					value = unset
				}
				count[value]++
			}
			usual[key] = ""
			for value, n := range count {
				if 2*n > len(recipes) {
					usual[key] = value
				}
			}
		}
	}
	return usual
}

// follows tells whether a key goes with a name that differs, such as the options
// of another optimizer, and says nothing more: all recipes that have it agree.
func follows(key string, departs map[string]string, recipes []map[string]string) bool {
	named := false
	for at := strings.LastIndex(key, "."); at > 0 && !named; at = strings.LastIndex(key[:at], ".") {
		_, named = departs[key[:at]+".name"]
	}
	if !named || strings.HasSuffix(key, ".name") {
		return false
	}
	values := map[string]bool{}
	for _, keys := range recipes {
		if v, ok := keys[key]; ok {
			values[v] = true
		}
	}
	return len(values) == 1
}
