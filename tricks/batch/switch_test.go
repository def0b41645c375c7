package batch

import (
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/rng"
)

func TestSwitchKeepsItsShares(t *testing.T) {
	mix := Mixup{1, PerBatch}
	choices := []Choice{
		{Name: "mixup", P: 0.5, Mixer: mix}, {Name: "cutmix", P: 0.3, OffEpochs: 2, Mixer: CutMix{1, PerBatch}},
		{Name: "ricap", P: 0}, {Name: "mixup", P: 0.1, Mixer: Mixup{0.2, PerPair}},
	}
	s, err := NewSwitch(10, choices...)
	if err != nil {
		t.Fatal(err)
	}
	r := rng.NewStream()
	var d Draw
	for _, epoch := range []int{0, 7, 8, 9} {
		const n = 4000
		count := map[string]int{}
		for i := range n {
			m, name := s.Sample(r, 1, epoch, i, Shape{4, 1, 2, 2}, &d)
			if (m == nil) != (name == "") {
				t.Fatalf("mixer %v, name %q", m, name)
			}
			count[name]++
		}
		want := map[string]float64{"mixup": 0.6, "cutmix": 0.3, "": 0.1}
		if epoch >= 8 {
			want["cutmix"], want[""] = 0, 0.4
		}
		for name, p := range want {
			if got := float64(count[name]) / n; math.Abs(got-p) > 5*math.Sqrt(p*(1-p)/n) {
				t.Errorf("epoch %d: %q mixes %v of the batches, want %v", epoch, name, got, p)
			}
		}
	}
}

// Shares that sum to one leave no batch out, whatever their rounding.
func TestSwitchOfThirds(t *testing.T) {
	third := 1. / 3
	s, err := NewSwitch(1, Choice{Name: "a", P: third, Mixer: Mixup{1, PerBatch}},
		Choice{Name: "b", P: third, Mixer: Mixup{1, PerBatch}}, Choice{Name: "c", P: third, Mixer: Mixup{1, PerBatch}})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.NewStream()
	var d Draw
	for i := range 3000 {
		if m, _ := s.Sample(r, 1, 0, i, Shape{2, 1, 1, 1}, &d); m == nil {
			t.Fatalf("batch %d is not mixed", i)
		}
	}
}

func TestSwitchErrors(t *testing.T) {
	for _, tt := range []struct {
		choices []Choice
		want    string
	}{
		{[]Choice{{Name: "mixup", P: 1.5}}, "0.p: must be 0 to 1, got 1.5"},
		{[]Choice{{Name: "mixup", P: math.NaN()}}, "0.p: must be 0 to 1, got NaN"},
		{[]Choice{{Name: "mixup", P: 0.5}, {Name: "cutmix", P: -1}}, "1.p: must be 0 to 1, got -1"},
		{[]Choice{{Name: "mixup", P: 0.5, OffEpochs: 4}}, "0.off_epochs: must be 0 to the run's 3 epochs, got 4"},
		{[]Choice{{Name: "mixup", P: 1}, {Name: "cutmix", P: 1}}, "1.p: mixup (p 1) and cutmix (p 1) claim the same batches: a batch is mixed by one of them, and the p of all must sum to at most 1, not 2"},
		{[]Choice{{Name: "ricap", P: 0.2}, {Name: "mixup", P: 0.6}, {Name: "cutmix", P: 0.3}}, "2.p: mixup (p 0.6) and cutmix (p 0.3) claim the same batches"},
	} {
		if _, err := NewSwitch(3, tt.choices...); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{&MixupOptions{-1, "batch"}, "alpha: must be 0 (off) to 1000, got -1"},
		{&MixupOptions{math.NaN(), "batch"}, "alpha: must be 0 (off) to 1000, got NaN"},
		{&MixupOptions{1, "elem"}, `mode: unknown mode "elem"; valid: batch, pair, element`},
		{&CutMixOptions{2000, "batch"}, "alpha: must be 0 (off) to 1000, got 2000"},
		{&CutMixOptions{1, "pairs"}, `mode: unknown mode "pairs"; did you mean "pair"?`},
		{&RICAPOptions{-0.3, "batch"}, "beta: must be 0 (off) to 1000, got -0.3"},
		{&RICAPOptions{0.3, "pair"}, `mode: unknown mode "pair"; valid: batch, element`},
	} {
		if err := tt.o.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.o, err, tt.want)
		}
	}
	for _, o := range []Options{&MixupOptions{0, "batch"}, &CutMixOptions{0, "batch"}, &RICAPOptions{0, "batch"}} {
		if m := o.Build(); o.Validate() != nil || m != nil {
			t.Errorf("%+v: 0 does not turn it off", o)
		}
	}
	for _, name := range Mixers.Names() {
		o, err := Mixers.Defaults(name)
		if err != nil || o.Validate() != nil || o.Build() == nil {
			t.Errorf("%s: the defaults are not usable", name)
		}
	}
}
