package tricks

import (
	"strings"
	"testing"
)

type fakeOptions struct{ Size int }

func TestCatalogue(t *testing.T) {
	saved := catalogue
	defer func() { catalogue = saved }()
	catalogue = map[string]Trick{}

	pixels := NewRegistry[*fakeOptions](Pixel)
	pixels.Register(Trick{Name: "mirror", Summary: "flip", Card: "# mirror"}, func() *fakeOptions { return &fakeOptions{1} })
	pixels.Register(Trick{Name: "crop", Summary: "cut", Card: "# crop"}, func() *fakeOptions { return &fakeOptions{2} })
	warm := NewRegistry[*fakeOptions](Warmup)
	warm.RegisterAs("gradual", Trick{Name: "gradual_warmup", Summary: "ramp", Card: "# ramp"}, func() *fakeOptions { return new(fakeOptions) })

	if got, err := Lookup("crop"); err != nil || got.Kind != Pixel || got.Summary != "cut" {
		t.Errorf("Lookup(crop) = %+v, %v", got, err)
	}
	if _, err := Lookup("mirorr"); err == nil || err.Error() != `unknown trick "mirorr"; did you mean "mirror"?` {
		t.Errorf("Lookup(mirorr): %v", err)
	}
	var names []string
	for _, trick := range All("") {
		names = append(names, trick.Name)
	}
	if got := strings.Join(names, " "); got != "crop mirror gradual_warmup" {
		t.Errorf("All = %s", got)
	}
	if got := All(Warmup); len(got) != 1 || got[0].Name != "gradual_warmup" {
		t.Errorf("All(Warmup) = %v", got)
	}
	o, err := pixels.Defaults("crop")
	if err != nil || o.Size != 2 {
		t.Fatalf("Defaults(crop) = %v, %v", o, err)
	}
	o.Size = 9
	if again, _ := pixels.Defaults("crop"); again.Size != 2 {
		t.Error("changing options changed the defaults")
	}
	if _, err := pixels.Defaults("corp"); err == nil || err.Error() != `unknown pixel trick "corp"; did you mean "crop"?` {
		t.Errorf("Defaults(corp): %v", err)
	}
	if _, err := warm.Defaults("gradual"); err != nil {
		t.Error(err)
	}
}

func TestRegisterPanics(t *testing.T) {
	saved := catalogue
	defer func() { catalogue = saved }()
	catalogue = map[string]Trick{"taken": {}}
	for _, trick := range []Trick{
		{},
		{Name: "Upper", Kind: Pixel, Summary: "s", Card: "c"},
		{Name: "1st", Kind: Pixel, Summary: "s", Card: "c"},
		{Name: "cardless", Kind: Pixel, Summary: "s", Card: " \n"},
		{Name: "kindless", Summary: "s", Card: "c"},
		{Name: "taken", Kind: Pixel, Summary: "s", Card: "c"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register(%+v) did not panic", trick)
				}
			}()
			Register(trick)
		}()
	}
}
