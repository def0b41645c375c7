package recipe

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Set changes one key, as "schedule.lr=0.05", "augment=[crop, mirror]" or
// "augment.crop.padding=2"; items of a list are addressed by number or by
// name. The value is YAML, but a string needs no quotes. A changed name or
// kind takes the options that only the old one knew with it. Options are
// checked by Resolve, so that the order of several Sets does not matter. On
// an error the recipe is unchanged; the error is a *strict.Error.
func (r *Recipe) Set(assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return &strict.Error{Problem: "expected key=value, found " + strconv.Quote(assignment)}
	}
	path := strings.Split(key, ".")
	for _, part := range path {
		if !strict.Plain(part) {
			return &strict.Error{Problem: "not a dotted key: " + strconv.Quote(key)}
		}
	}
	base := r
	if r.Augment == nil && path[0] == "augment" && len(path) > 1 {
		// A change to the default list makes it the recipe's own.
		base = r.clone()
		if set, err := lookupDataSet(r.Data.Name); err == nil {
			base.Augment = append(Augment{}, set.Augment...)
		}
	}
	text, err := base.Marshal()
	if err != nil {
		return err
	}
	root, err := strict.Parse(text)
	if err != nil {
		return err
	}
	if err := put(root, path, 0, parseValue(value)); err != nil {
		return err
	}
	next := Default()
	clearLines(root)
	if err := (&strict.Decoder{LooseStrings: true}).Decode(root, next); err != nil {
		return err
	}
	// What comes from the command line has no line in the file.
	next.file, next.lines = r.file, without(r.lines, key)
	next.dropStale(r)
	*r = *next
	return nil
}

func without(lines strict.Lines, key string) strict.Lines {
	out := strict.Lines{}
	for k, line := range lines {
		if k != key && !strings.HasPrefix(k, key+".") {
			out[k] = line
		}
	}
	return out
}

// parseValue reads a value as YAML; what is not valid YAML is a string.
func parseValue(value string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err == nil && len(doc.Content) == 1 {
		if n := doc.Content[0]; n.ShortTag() != "!!null" {
			return n
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func clearLines(n *yaml.Node) {
	n.Line = 0
	for _, c := range n.Content {
		clearLines(c)
	}
}

// put replaces the value at path[at:] below n, adding mappings on the way.
func put(n *yaml.Node, path []string, at int, value *yaml.Node) error {
	here := strings.Join(path[:at+1], ".")
	var slot **yaml.Node
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == path[at] {
				slot = &n.Content[i+1]
			}
		}
		if slot == nil {
			n.Content = append(n.Content,
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: path[at]},
				&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			slot = &n.Content[len(n.Content)-1]
		}
	case yaml.SequenceNode:
		i, err := item(n, path[at])
		if err != "" {
			return strict.Errorf(here, "%s", err)
		}
		slot = &n.Content[i]
	default:
		return strict.Errorf(strings.Join(path[:at], "."), "is a single value and has no key %q", path[at])
	}
	if at == len(path)-1 {
		*slot = value
		return nil
	}
	return put(*slot, path, at+1, value)
}

// item finds an item of a list by number or by name.
func item(n *yaml.Node, which string) (int, string) {
	if i, err := strconv.Atoi(which); err == nil {
		if i < 0 || i >= len(n.Content) {
			return 0, "the list has " + strconv.Itoa(len(n.Content)) + " items, numbered from 0"
		}
		return i, ""
	}
	var names []string
	for i, it := range n.Content {
		for j := 0; j+1 < len(it.Content); j += 2 {
			if it.Content[j].Value == "name" {
				if it.Content[j+1].Value == which {
					return i, ""
				}
				names = append(names, it.Content[j+1].Value)
			}
		}
	}
	return 0, "no such item in the list" + nearest.Hint(which, names)
}

// dropStale removes options that belonged to a trick which the change has
// replaced and that its replacement does not know.
func (r *Recipe) dropStale(before *Recipe) {
	if name := r.Schedule.Name; name != before.Schedule.Name {
		drop(r.Schedule.Options, scheduleKeys(before.Schedule.Name), scheduleKeys(name))
	}
	if kind := r.Schedule.Warmup.Kind; kind != before.Schedule.Warmup.Kind {
		drop(r.Schedule.Warmup.Options, warmupKeys(before.Schedule.Warmup.Kind), warmupKeys(kind))
	}
	if len(r.Mix) == len(before.Mix) {
		for i := range r.Mix {
			if name := r.Mix[i].Name; name != before.Mix[i].Name {
				drop(r.Mix[i].Options, mixerKeys(before.Mix[i].Name), mixerKeys(name))
			}
		}
	}
	if len(r.Augment) == len(before.Augment) {
		for i := range r.Augment {
			if name := r.Augment[i].Name; name != before.Augment[i].Name {
				drop(r.Augment[i].Options, pixelKeys(before.Augment[i].Name), pixelKeys(name))
			}
		}
	}
}

func drop(options map[string]any, before, now []string) {
	for key := range options {
		if slices.Contains(before, key) && !slices.Contains(now, key) {
			delete(options, key)
		}
	}
}

func scheduleKeys(name string) []string {
	if o, err := schedule.Schedules.Defaults(name); err == nil {
		return strict.Keys(o)
	}
	return nil
}

func warmupKeys(kind string) []string {
	if kind == "" {
		kind = "gradual"
	}
	if o, err := schedule.Warmups.Defaults(kind); err == nil {
		return strict.Keys(o)
	}
	return nil
}

func pixelKeys(name string) []string {
	if o, err := pixel.Transforms.Defaults(name); err == nil {
		return strict.Keys(o)
	}
	return nil
}

func mixerKeys(name string) []string {
	if o, err := batch.Mixers.Defaults(name); err == nil {
		return strict.Keys(o)
	}
	return nil
}
