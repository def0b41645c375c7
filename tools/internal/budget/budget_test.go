package budget

import (
	"flag"
	"strings"
	"testing"
)

// TestBudget: the command that a table quotes gives the budget that it was made
// with, but for the folder, and the recipe has all of it.
func TestBudget(t *testing.T) {
	want := Budget{Data: "cifar100", Dir: "/some, where", TestFiles: "a[12].bin", Model: "wrn10_1", Limit: 7, Epochs: 2, Batch: 3,
		Validation: 4, LR: 0.25, Seeds: 5, Threads: 6, Workers: 8, Provider: "cuda"}
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	got := Budget{Data: "cifar10", Epochs: 90}
	got.Flags(fs)
	if err := fs.Parse(strings.Fields(want.Command())); err != nil {
		t.Fatal(err)
	}
	if got.Dir != "DIR" {
		t.Errorf("the folder is %q", got.Dir)
	}
	if got.Dir = want.Dir; got != want {
		t.Errorf("%+v became %+v", want, got)
	}
	r, err := want.Recipe(11, "epochs=9")
	if err != nil {
		t.Fatal(err)
	}
	if r.Data.Name != want.Data || r.Data.Dir != want.Dir || len(r.Data.TestFiles) != 1 || r.Data.TestFiles[0] != want.TestFiles ||
		r.Model.Name != want.Model || r.Limit != want.Limit || r.Epochs != 9 || r.Batch != want.Batch || r.Data.Validation != float64(want.Validation) ||
		r.Schedule.LR != want.LR || r.Threads != want.Threads || r.Data.Workers != want.Workers || r.Provider != want.Provider || r.Seed != 11 {
		t.Errorf("%+v gives %+v", want, r)
	}
	if _, err := want.Recipe(1, "nothing=1"); err == nil {
		t.Error("an unknown setting was taken")
	}
}
