package policy

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/pixel/pil/formula"
)

func TestPublished(t *testing.T) {
	for _, name := range Names() {
		p, err := Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil || len(p) != 25 {
			t.Errorf("%s: %d sub-policies, %v", name, len(p), err)
		}
		for i, sub := range p {
			if len(sub) != 2 {
				t.Errorf("%s.%d has %d steps", name, i, len(sub))
			}
		}
	}
	// First and last rows of the paper's tables.
	for name, want := range map[string][2]SubPolicy{
		"cifar10":  {{{Invert, 0.1, 0}, {Contrast, 0.2, 6}}, {{TranslateY, 0.7, 9}, {AutoContrast, 0.9, 0}}},
		"svhn":     {{{ShearX, 0.9, 4}, {Invert, 0.2, 0}}, {{ShearX, 0.7, 2}, {Invert, 0.1, 0}}},
		"imagenet": {{{Posterize, 0.4, 8}, {Rotate, 0.6, 9}}, {{Equalize, 0.8, 0}, {Equalize, 0.6, 0}}},
	} {
		p, _ := Published(name)
		if !reflect.DeepEqual(p[0], want[0]) || !reflect.DeepEqual(p[24], want[1]) {
			t.Errorf("%s: %v … %v", name, p[0], p[24])
		}
	}
	if _, err := Published("cifar-100"); err == nil || err.Error() != `unknown policy "cifar-100"; did you mean "cifar10"?` {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	text := "# found on bars\n- - {op: Rotate, p: 0.7, magnitude: 2}\n  - {op: Invert}\n- [{op: Cutout, magnitude: 4.5}]\n"
	p, err := Parse([]byte(text), "p.yaml")
	want := Policy{{{Rotate, 0.7, 2}, {Invert, 1, 0}}, {{Cutout, 1, 4.5}}}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Fatalf("%v, %v", p, err)
	}
	for _, name := range Names() {
		p, _ := Published(name)
		back, err := Parse(p.Marshal(), name)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%s does not survive a file: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := Load(path); err != nil || len(p) != 2 {
		t.Error(err)
	}
	if _, err := Load(path + "x"); err == nil || !strings.HasPrefix(err.Error(), "policy file: open ") {
		t.Error(err)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"- [{op: Rotate, p: 1, magnitude: 2}]\n- - {op: Invert}\n  - {op: Rotat, magnitude: 1}": `p.yaml:3: 1.1.op: unknown operation "Rotat"; did you mean "Rotate"?`,
		"- [{op: Rotate, p: 1.5, magnitude: 2}]":                                                "p.yaml:1: 0.0.p: a probability, at least 0 and at most 1, got 1.5",
		"- [{op: Rotate, magnitude: 10}]":                                                       "p.yaml:1: 0.0.magnitude: must be 0 to 9, got 10",
		"- [{op: Rotate}]":                                                                      "p.yaml:1: 0.0.magnitude: missing: Rotate needs one, 0 to 9",
		"- [{p: 1}]":                                                                            "p.yaml:1: 0.0.op: missing: name an operation, such as Rotate",
		"- [{op: Rotate, prob: 1}]":                                                             `p.yaml:1: 0.0.prob: unknown key; valid: op, p, magnitude`,
		"- {op: Rotate}":                                                                        "p.yaml:1: 0: expected a list, found a mapping",
		"- []":                                                                                  "p.yaml:1: 0: a sub-policy has 1 to 7 steps, not 0",
		"[]":                                                                                    "p.yaml: a policy has 1 to 10000 sub-policies, not 0",
		"":                                                                                      "p.yaml: a policy is a list of sub-policies, such as - [{op: Rotate, p: 0.7, magnitude: 2}]",
		"a: 1":                                                                                  "p.yaml: a policy is a list of sub-policies, such as - [{op: Rotate, p: 0.7, magnitude: 2}]",
		"- [{op: SamplePairing}]":                                                               "p.yaml:1: 0.0.magnitude: missing: SamplePairing needs one, 0 to 9",
		"- [{op: Solarize, magnitude: .nan}]":                                                   "p.yaml:1: 0.0.magnitude: ",
		"- [{op: Solarize, magnitude: 1}":                                                       "p.yaml:",
	} {
		_, err := Parse([]byte(text), "p.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("- - {op: Rotate, p: 0.7, magnitude: 2}\n  - {op: Invert}\n- [{op: Cutout, magnitude: 4.5}]\n")
	f.Add("- [{op: Rotate, p: 1e-9, magnitude: 9}]")
	f.Add("[[{op: &a Invert}, {op: *a}]]")
	f.Add("- [[]]")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text), "f")
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		back, err := Parse(p.Marshal(), "g")
		if err != nil || len(back) != len(p) {
			t.Fatalf("a marshalled policy does not parse: %v\n%s", err, p.Marshal())
		}
	})
}

// Where level 0 means nothing is done, the image stays.
func TestLevelZeroIsIdentity(t *testing.T) {
	src := formula.Image("photo.33x17x3")
	dst := src
	for name, s := range map[string]*Space{"torchvision": Torchvision(33, 17, 10), "wide": Wide(31)} {
		for _, op := range Ops() {
			if !op.Graded() && op != Identity || op == Solarize { // level 0 of Solarize inverts 255
				continue
			}
			dst.Pix = make([]uint8, len(src.Pix))
			Painter{Partner: formula.Image("photo.33x17x3")}.Apply(dst, src, op, s.Value(op, 0, true), 3, 3)
			for i := range dst.Pix {
				if dst.Pix[i] != src.Pix[i] {
					t.Errorf("%s: %s at level 0 changes the image", name, op)
					break
				}
			}
		}
	}
}

func TestReferenceRanges(t *testing.T) {
	s := Reference(32, 32)
	for _, tt := range []struct {
		op    Op
		level float64
		want  float64
	}{
		{ShearX, 9, 0.27}, {TranslateX, 9, 9}, {TranslateY, 3, 3}, {Rotate, 9, 27}, {Rotate, 2, 6}, {Posterize, 0, 4}, {Posterize, 7, 2},
		{Posterize, 9, 1}, {Solarize, 0, 256}, {Solarize, 8, 52}, {Solarize, 9, 26}, {Color, 0, 0.1}, {Brightness, 5, 1}, {Contrast, 9, 1.72},
		{Cutout, 8, 16}, {Invert, 9, 0}, {SamplePairing, 9, 0.36},
	} {
		if got := s.Value(tt.op, tt.level, false); got < tt.want-1e-12 || got > tt.want+1e-12 {
			t.Errorf("%s at %v: %v, want %v", tt.op, tt.level, got, tt.want)
		}
	}
	if s.Signed(Color) || !s.Signed(ShearY) || s.Value(ShearY, 5, true) != -0.15 {
		t.Error("only the geometry is signed")
	}
	// Between levels values are interpolated, beyond them held.
	w := Wide(31)
	if got := w.Value(Rotate, 1.5, false); got != 6.75 {
		t.Errorf("Rotate at 1.5: %v", got)
	}
	if w.Value(Rotate, 99, false) != 135 || w.Levels(Rotate) != 31 || w.Levels(Invert) != 1 {
		t.Error("levels")
	}
}

// Every operation takes every size and both numbers of channels, writes all
// of the result, and does not allocate.
func TestOperationsTakeAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := pil.Image{W: 1 + r.IntN(9), H: 1 + r.IntN(9), C: 1 + 2*r.IntN(2)}
		m.Pix = make([]uint8, m.W*m.H*m.C)
		for i := range m.Pix {
			m.Pix[i] = uint8(r.UintN(256))
		}
		a, b := m, m
		a.Pix, b.Pix = make([]uint8, len(m.Pix)), make([]uint8, len(m.Pix))
		for i := range b.Pix {
			b.Pix[i] = 0xFF
		}
		for _, s := range []*Space{Torchvision(m.W, m.H, 10), Reference(m.W, m.H), AugMix(m.W, m.H, true), Wide(31)} {
			for _, op := range Ops() {
				p := Painter{Filter: pil.Filter(r.IntN(2)), Outside: pil.Colour{1, 2, 3}, Partner: m}
				v := s.Value(op, r.Float64()*9, r.IntN(2) == 0)
				p.Apply(a, m, op, v, 0, 0)
				p.Apply(b, m, op, v, 0, 0)
				if string(a.Pix) != string(b.Pix) {
					t.Fatalf("%s(%v) of %d×%d×%d does not write everything", op, v, m.W, m.H, m.C)
				}
			}
		}
	}
	src := formula.Image("photo.32x32x3")
	dst := src
	dst.Pix = make([]uint8, len(src.Pix))
	s := Torchvision(32, 32, 10)
	for _, op := range Ops() {
		if n := testing.AllocsPerRun(20, func() { Painter{Partner: src}.Apply(dst, src, op, s.Value(op, 7, true), 3, 3) }); n != 0 {
			t.Errorf("%s: %v allocations", op, n)
		}
	}
}

func BenchmarkOps(b *testing.B) {
	for _, name := range []string{"photo.32x32x3", "photo.224x224x3"} {
		src := formula.Image(name)
		dst := src
		dst.Pix = make([]uint8, len(src.Pix))
		s := Torchvision(src.W, src.H, 10)
		for _, op := range Ops() {
			b.Run(op.String()+"/"+strings.TrimPrefix(name, "photo."), func(b *testing.B) {
				for b.Loop() {
					Painter{Partner: src}.Apply(dst, src, op, s.Value(op, 7, true), 3, 3)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
