package job

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/target"
)

// ingredient is a pixel, batch or target trick in a recipe.
type ingredient struct{ name, list, setting string }

func ingredients() []ingredient {
	var all []ingredient
	for _, n := range pixel.Transforms.Names() {
		all = append(all, ingredient{n, "augment", n})
	}
	for _, n := range batch.Mixers.Names() {
		all = append(all, ingredient{n, "mix", n})
	}
	for _, n := range target.Shapers.Names() {
		all = append(all, ingredient{n, "target", n + ": {}"})
	}
	return append(all, ingredient{"repeated_augmentation", "", "data.repeats=2"},
		ingredient{"bce", "loss", "bce"}, ingredient{"focal", "loss", "focal"}, ingredient{"focal_bce", "loss", "focal_bce"})
}

// recipeOfPair returns a resolved recipe with one or two ingredients.
func recipeOfPair(pair ...ingredient) (*recipe.Recipe, error) {
	lists := map[string][]string{"augment": nil}
	settings := []string{"data.name=cifar10", "model.name=resnet8", "epochs=1", "batch=4", "schedule.lr=0.01", "schedule.warmup=none"}
	for _, p := range pair {
		if p.list == "" {
			settings = append(settings, p.setting)
		} else {
			lists[p.list] = append(lists[p.list], p.setting)
		}
	}
	for list, values := range lists {
		text := strings.Join(values, ", ")
		switch list {
		case "augment", "mix":
			text = "[" + text + "]"
		case "target":
			text = "{" + text + "}"
		}
		settings = append(settings, list+"="+text)
	}
	r := recipe.Default()
	for _, s := range settings {
		if err := r.Set(s); err != nil {
			return nil, err
		}
	}
	return r.Resolve()
}

// TestAllPairsTrain: any two tricks on pixels, batches and targets train two
// steps together, or the recipe says which two contradict each other.
func TestAllPairsTrain(t *testing.T) {
	ortest.Open(t)
	r := rand.New(rand.NewPCG(4, 4))
	size, classes := pixel.Size{W: 32, H: 32, C: 3}, []string{"a", "b", "c"}
	pix, labels := make([]uint8, 8*size.Elements()), []int{0, 1, 2, 0, 1, 2, 0, 1}
	for i := range pix {
		pix[i] = uint8(r.UintN(256))
	}
	source, err := data.NewMemory(size, classes, pix, labels)
	if err != nil {
		t.Fatal(err)
	}
	d := &data.Dataset{Name: "noise", Classes: classes, Size: size, Train: data.Whole(source), Test: data.Whole(source)}
	trainers := map[string]*run{}
	defer func() {
		for _, one := range trainers {
			one.trainer.Close()
		}
	}()
	trained, refused := 0, 0
	all := ingredients()
	covered := map[string]bool{}
	for i, a := range all {
		covered[a.name] = true
		for _, b := range all[i:] {
			pair, name := []ingredient{a, b}, a.name+" with "+b.name
			if a == b {
				pair, name = pair[:1], a.name
			} else if a.list == "loss" && b.list == "loss" {
				continue // one of them at a time
			}
			rec, err := recipeOfPair(pair...)
			if err == nil {
				err = data.Measure(d, rec)
			}
			if err == nil {
				_, err = rec.BuildAugment(size)
			}
			if err != nil && a.list == "augment" && b.list == "augment" {
				slices.Reverse(pair) // one of the two orders
				if rec, err = recipeOfPair(pair...); err == nil {
					_, err = rec.BuildAugment(size)
				}
			}
			if err != nil {
				if !strings.Contains(err.Error(), a.name) && !strings.Contains(err.Error(), a.setting) || !strings.Contains(err.Error(), b.name) {
					t.Errorf("%s: refused without naming both: %v", name, err)
				}
				refused++
				continue
			}
			one := trainers[rec.Loss]
			if one == nil {
				if one, err = trainerFor(t, rec, d); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				trainers[rec.Loss] = one
			}
			if err := twoSteps(one, rec, d); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			trained++
		}
	}
	for _, taught := range []string{"distillation", "self_distillation", "born_again"} {
		covered[taught] = true // of kind target, but a teacher's
	}
	for _, kind := range []tricks.Kind{tricks.Pixel, tricks.Batch, tricks.Target} {
		for _, trick := range tricks.All(kind) {
			if !covered[trick.Name] {
				t.Errorf("%s is in no pair", trick.Name)
			}
		}
	}
	t.Logf("%d pairs trained, %d refused", trained, refused)
	if trained < 250 {
		t.Errorf("only %d pairs trained", trained)
	}
}

// trainerFor makes the trainer of a recipe's network and loss.
func trainerFor(t *testing.T, r *recipe.Recipe, d *data.Dataset) (*run, error) {
	t.Helper()
	set, err := artifact.Build(Spec(r, d))
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		return nil, err
	}
	one := &run{}
	if one.trainer, err = runtime.NewTrainer(dir, runtime.Options{Threads: 1}); err != nil {
		return nil, err
	}
	fixed, err := hyper(r, one.trainer.Manifest())
	if err != nil {
		return nil, err
	}
	values, err := one.trainer.Hyper(fixed)
	if err != nil {
		return nil, err
	}
	one.hyper, err = newFeed(values, one.trainer.Manifest())
	return one, err
}

// twoSteps trains from the initial weights and checks that they move and stay
// finite.
func twoSteps(one *run, r *recipe.Recipe, d *data.Dataset) error {
	if err := one.trainer.SetState(one.trainer.Manifest().InitialState()); err != nil {
		return err
	}
	one.trainer.SetSteps(0)
	one.recipe, one.data, one.sums = r, d, sums{}
	var err error
	if one.schedule, err = r.BuildSchedule(2); err != nil {
		return err
	}
	ctx := context.Background()
	loader, err := data.NewTrainLoader(ctx, d, r, data.Position{})
	if err != nil {
		return err
	}
	images := newSupply(ctx, loader, nil, nil, r.Batch)
	defer images.Close()
	before := one.trainer.State()
	for range 2 {
		if err := one.step(ctx, images); err != nil {
			return err
		}
	}
	norm, moved := 0.0, 0.0
	for i, p := range one.trainer.View().Params {
		norm += float64(p) * float64(p)
		moved += math.Abs(float64(p - before.Params[i]))
	}
	if !(moved > 0) || math.IsInf(norm, 0) || math.IsNaN(one.sums.Loss) {
		return fmt.Errorf("the weights moved by %v to a norm of %v, loss %v", moved, norm, one.sums.Loss)
	}
	return nil
}
