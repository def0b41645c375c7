package recipe

import "testing"

func TestFocal(t *testing.T) {
	r := resolve(t, parse(t, "loss: focal_bce"))
	if *r.Focal.Gamma != 2 || *r.Focal.Alpha != 0.25 {
		t.Errorf("defaults %v, %v", *r.Focal.Gamma, *r.Focal.Alpha)
	}
	if again := resolve(t, parse(t, marshal(t, r))); marshal(t, again) != marshal(t, r) {
		t.Error("not stable")
	}
	r = parse(t, "loss: focal")
	if err := r.Set("focal.gamma=0.5"); err != nil {
		t.Fatal(err)
	}
	if r = resolve(t, r); *r.Focal.Gamma != 0.5 || r.Focal.Alpha != nil {
		t.Errorf("softmax: %v, %v", *r.Focal.Gamma, r.Focal.Alpha)
	}
	for _, tt := range []struct{ text, want string }{
		{"focal: {gamma: 2}", "r.yaml:1: focal: belongs to loss: focal or focal_bce; set one of them or leave it out"},
		{"loss: focal\nfocal:\n  gamma: -1", "r.yaml:3: focal.gamma: must be 0 to 100, got -1"},
		{"loss: focal\nfocal:\n  alpha: 0.3", "r.yaml:3: focal.alpha: belongs to loss: focal_bce; weight the classes of the softmax by target.class_weights"},
		{"loss: focal_bce\nfocal:\n  alpha: 1.5", "r.yaml:3: focal.alpha: must be 0 to 1, or -1 for none, got 1.5"},
		{"loss: focl", `r.yaml:1: loss: unknown loss "focl"; did you mean "focal"?`},
	} {
		r, err := Parse([]byte(tt.text), "r.yaml")
		if err == nil {
			err = r.Validate()
		}
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}
