package job

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// interrupter cancels a run after so many calls of Step.
type interrupter struct {
	silent
	calls  int
	cancel context.CancelFunc
}

func (i *interrupter) Step(Progress) {
	if i.calls--; i.calls == 0 {
		i.cancel()
	}
}

// TestStepsPerRun: ten steps an epoch, taken one, four (and two at its end) or
// eight at a time, or with an interruption, end in the same bytes.
func TestStepsPerRun(t *testing.T) {
	teacher, _, err := spoiled(t, nil, &notes{}, "epochs=1", "seed=5")
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]string{
		"plain":           {},
		"mixed, averaged": {"mix=[mixup]", "average={name: ema, decay: 0.9, every: 2}", "optimizer.name=adam", "schedule.lr=0.001"},
		"taught":          {"teacher.models=[" + filepath.Join(teacher, ModelFile) + "]"},
		"half precision":  {"precision={type: mixed, growth_interval: 2}"},
		"random":          {"model.options={dropout: \"0.1\"}", "average=swa", "gradient.clip_norm=1"},
	} {
		t.Run(name, func(t *testing.T) {
			whole, _, err := spoiled(t, nil, &notes{}, changes...)
			if err != nil {
				t.Fatal(err)
			}
			same := func(what, out string) {
				for _, f := range []string{ModelFile, CheckpointFile} {
					if !bytes.Equal(fileOf(t, out, f), fileOf(t, whole, f)) {
						t.Errorf("%s: %s differs from that of single steps", what, f)
					}
				}
			}
			for _, k := range []string{"4", "8", "64"} {
				out, _, err := spoiled(t, nil, &notes{}, append(changes, "steps_per_run="+k)...)
				if err != nil {
					t.Fatal(err)
				}
				same(k+" steps a run", out)
			}
			ctx, cancel := context.WithCancel(context.Background())
			out := filepath.Join(t.TempDir(), "run")
			r := smallRecipe(t, append(changes, "steps_per_run=4")...)
			if _, err := Train(ctx, Config{Recipe: r, Out: out, Reporter: &interrupter{calls: 4, cancel: cancel}}); err == nil || !strings.Contains(err.Error(), "in epoch 2 after step 4 of 10") {
				t.Fatalf("the interruption: %v", err)
			}
			if _, err := Train(context.Background(), Config{Out: out, Resume: true}); err != nil {
				t.Fatal(err)
			}
			same("an interrupted run", out)
		})
	}
	for set, want := range map[string]string{
		"accumulate=2": "steps_per_run: takes whole batches",
		"schedule={name: plateau, lr: 0.1, metric: train_loss}": "steps_per_run: cannot be above 1: schedule plateau reacts to every single step",
		"steps_per_run=-1":                          "steps_per_run: must be 0 (one) to 4096",
		"non_finite=ship":                           "did you mean",
		"non_finite={policy: rollback, factor: 2}":  "non_finite.factor: must be above 0 and below 1",
		"non_finite={policy: skip, factor: 0.5}":    "non_finite.factor: lowers the rate",
		"non_finite={policy: stop, limit: 3}":       "non_finite.policy",
		"non_finite={policy: rollback, limit: -1}":  "non_finite.limit: must be at least 1",
		"average={name: ema}\nteacher={self: true}": "steps_per_run: cannot be above 1 with teacher.self",
	} {
		changes := append([]string{"steps_per_run=4"}, strings.Split(set, "\n")...)
		if _, _, err := spoiled(t, nil, &notes{}, changes...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}
