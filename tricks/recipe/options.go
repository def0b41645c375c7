package recipe

import (
	"fmt"
	"maps"
	"slices"
	"sort"

	"gopkg.in/yaml.v3"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/schedule"
	"github.com/ortrain/ortrain/tricks/strict"
	"github.com/ortrain/ortrain/tricks/target"
)

// validator is what the options of all kinds of tricks have in common.
type validator interface{ Validate() error }

// decode fills a trick's options from a recipe's and validates them. key is
// where they stand in the recipe; section is the struct that holds them beside
// keys of its own, of which a mistyped key may be one, or nil.
func decode(key string, given map[string]any, section any, into validator) error {
	err := nearby(given, section, into)
	if err == nil {
		err = strict.DecodeMap(given, into)
	}
	if err == nil {
		err = into.Validate()
	}
	return strict.Within(key, err)
}

// nearby reports a key that neither the options nor their section has, if the
// section's own keys are close to it.
func nearby(given map[string]any, section any, options validator) error {
	if section == nil {
		return nil
	}
	known, own := strict.Keys(options), strict.Keys(section)
	for _, k := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(known, k) {
			continue
		}
		if _, ok := nearest.Name(k, known); ok {
			continue // the options' own message suggests it
		}
		if name, ok := nearest.Name(k, own); ok {
			return strict.Errorf(k, "unknown key; did you mean %q?", name)
		}
	}
	return nil
}

// encode returns options as a recipe's map, with all keys.
func encode(options any) (map[string]any, error) {
	text, err := yaml.Marshal(options)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := yaml.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, nil
	}
	return m, nil
}

func (r *Recipe) scheduleOptions() (schedule.Options, error) {
	o, err := schedule.Schedules.Defaults(r.Schedule.Name)
	if err != nil {
		return nil, strict.Within("schedule.name", err)
	}
	return o, decode("schedule", r.Schedule.Options, r.Schedule, o)
}

// warmupOptions returns nil for no warm-up.
func (r *Recipe) warmupOptions() (schedule.WarmupOptions, error) {
	w := r.Schedule.Warmup
	if w.Kind == NoWarmup {
		if len(w.Options) > 0 {
			name := slices.Min(slices.Collect(maps.Keys(w.Options)))
			return nil, strict.Errorf("schedule.warmup."+name, "unknown key: there is no warm-up")
		}
		return nil, nil
	}
	kind, options := w.Kind, w.Options
	if kind == "" {
		kind = "gradual"
	}
	o, err := schedule.Warmups.Defaults(kind)
	if err != nil {
		return nil, strict.Within("schedule.warmup.kind", err)
	}
	_, epochs := options["epochs"]
	_, steps := options["steps"]
	if timed, ok := o.(schedule.Timed); ok && !epochs && !steps {
		timed.SetEpochs(min(1, float64(r.Epochs)/5))
	}
	return o, decode("schedule.warmup", options, w, o)
}

func (r *Recipe) augmentOptions() ([]pixel.Named, error) {
	var steps []pixel.Named
	for i, s := range r.Augment {
		key := fmt.Sprintf("augment.%d", i)
		if s.Name == "" {
			return nil, strict.Errorf(key, "needs a name")
		}
		o, err := pixel.Transforms.Defaults(s.Name)
		if err != nil {
			return nil, strict.Within(key, err)
		}
		if err := decode(key, s.Options, s, o); err != nil {
			return nil, err
		}
		steps = append(steps, pixel.Named{Name: s.Name, Options: o})
	}
	return steps, nil
}

type namedShaper struct {
	name    string
	options target.Options
}

// targetOptions returns the target tricks in the order in which they apply.
func (r *Recipe) targetOptions() ([]namedShaper, error) {
	var names []string
	for name := range r.Target.Tricks {
		names = append(names, name)
	}
	sort.Strings(names)
	var shapers []namedShaper
	for _, name := range names {
		key := "target." + name
		o, err := target.Shapers.Defaults(name)
		if err != nil {
			return nil, strict.Within(key, err)
		}
		given, ok := r.Target.Tricks[name].(map[string]any)
		if !ok {
			return nil, strict.Errorf(key, "expected a mapping, such as {%s: …}", strict.Keys(o)[0])
		}
		if err := decode(key, given, nil, o); err != nil {
			return nil, err
		}
		shapers = append(shapers, namedShaper{name, o})
	}
	sort.SliceStable(shapers, func(i, j int) bool { return shapers[i].options.Order() < shapers[j].options.Order() })
	return shapers, nil
}

// checkTricks checks the names and options of all tricks.
func (r *Recipe) checkTricks() error {
	if _, err := r.scheduleOptions(); err != nil {
		return err
	}
	if _, err := r.warmupOptions(); err != nil {
		return err
	}
	if _, err := r.augmentOptions(); err != nil {
		return err
	}
	if _, err := r.averageOptions(); err != nil {
		return err
	}
	if _, err := r.samplingOptions(); err != nil {
		return err
	}
	if _, err := r.stopOptions(); err != nil {
		return err
	}
	if _, err := r.mixOptions(); err != nil {
		return err
	}
	_, err := r.targetOptions()
	return err
}
