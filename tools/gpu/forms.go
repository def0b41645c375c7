package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// recipe says to the jobs which provider is meant.
func (c config) recipe() *recipe.Recipe {
	r := recipe.Default()
	r.Provider = c.provider
	if c.provider == "cuda" {
		tf32 := !c.noTF32
		r.CUDA = recipe.CUDA{Device: c.device, TF32: &tf32}
	}
	return r
}

// chosen are the forms that were the fastest in an earlier 'gpu forms' on this
// machine.
func (c config) chosen() map[string]string { return job.Choices(c.recipe()) }

// forms times the forms of the step's operators, prints them by speed and keeps
// them for later runs here; of those that an earlier call has timed here it prints
// what was kept.
func forms(c config) error {
	s := c.spec()
	s.Loop = false
	if c.out != "" {
		if err := os.Remove(c.out); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	_, err := job.Tune(context.Background(), job.TuneConfig{Recipe: c.recipe(), Spec: &s, Library: c.library, Missing: true, Row: c.formsRow})
	return err
}

func (c config) formsRow(r job.Tuned) error {
	header := []string{"operator", "inputs", "times", "form", "ms", "", "device"}
	for _, form := range slices.SortedFunc(maps.Keys(r.Seconds), func(a, b string) int { return cmp.Compare(r.Seconds[a], r.Seconds[b]) }) {
		mark := ""
		switch form {
		case r.Best:
			mark = "taken"
		case r.Rule:
			mark = "by the rule"
		}
		if err := add(c.out, header, []string{r.Operator, fmt.Sprint(r.Shapes), fmt.Sprint(r.Times), form, fmt.Sprintf("%.4f", 1000*r.Seconds[form]), mark, c.deviceName()}); err != nil {
			return err
		}
	}
	return nil
}
