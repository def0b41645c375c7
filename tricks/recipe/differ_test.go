package recipe

import "testing"

func TestDifference(t *testing.T) {
	changed := func(assignments ...string) *Recipe {
		r := Default()
		for _, a := range assignments {
			if err := r.Set(a); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	for _, c := range []struct {
		name        string
		before, now *Recipe
		want        string
	}{
		{"none", changed(), changed(), ""},
		{"what changes no number", changed(), changed("data.workers=7", "checkpoint.keep=9", "checkpoint.minutes=0.5", "checkpoint.keep_best=true", "data.dir=x", "provider=cuda", "cuda.device=1", "cuda.tf32=false"), ""},
		{"a value", changed("batch=32"), changed("batch=64"), "batch: 32, now 64"},
		{"a list", changed("augment=[mirror]"), changed("augment=[]"), "augment: not set, now empty; augment.0.name: mirror, now not set; augment.0.p: 0.5, now not set"},
		{"many", changed(), changed("batch=64", "epochs=3", "seed=4", "limit=100", "model.name=resnet8"),
			"batch: 128, now 64; epochs: 10, now 3; limit: 0, now 100; and 3 more"},
	} {
		got, err := Difference(c.before, c.now)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}
