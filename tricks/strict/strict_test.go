package strict

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type inner struct {
	Gamma float64 `yaml:"gamma"`
	Name  string  `yaml:"name"`
}

type step struct {
	Name string         `yaml:"name"`
	Rest map[string]any `yaml:",inline"`
}

func (s *step) SetScalar(name string) { *s = step{Name: name} }

type document struct {
	Seed    uint64            `yaml:"seed"`
	Epochs  int               `yaml:"epochs"`
	Flag    bool              `yaml:"flag"`
	Rate    float64           `yaml:"rate"`
	Files   []string          `yaml:"files"`
	Inner   inner             `yaml:"inner"`
	Pointer *inner            `yaml:"pointer"`
	Steps   []step            `yaml:"steps"`
	Options map[string]string `yaml:"options"`
	Hidden  int               `yaml:"-"`
}

func decodeText(text string) (document, Lines, error) {
	doc := document{Epochs: 7, Inner: inner{Gamma: 0.5}}
	node, err := Parse([]byte(text))
	if err != nil {
		return doc, nil, err
	}
	d := Decoder{Lines: Lines{}}
	err = d.Decode(node, &doc)
	return doc, d.Lines, err
}

func TestDecode(t *testing.T) {
	doc, lines, err := decodeText(`# a comment
seed: 18446744073709551615
flag: true
rate: 1
files: [a, b]
inner:
  name: x
pointer: {gamma: 1e-5}
steps:
  - mirror
  - name: crop
    padding: 4
    sides: [1, 2.5, true, "s", {k: v}]
options: {shortcut: A, depth: 20}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := document{
		Seed: 18446744073709551615, Epochs: 7, Flag: true, Rate: 1, Files: []string{"a", "b"},
		Inner: inner{Gamma: 0.5, Name: "x"}, Pointer: &inner{Gamma: 1e-5},
		Steps: []step{
			{Name: "mirror"},
			{Name: "crop", Rest: map[string]any{"padding": 4, "sides": []any{1, 2.5, true, "s", map[string]any{"k": "v"}}}},
		},
		Options: map[string]string{"shortcut": "A", "depth": "20"},
	}
	if !reflect.DeepEqual(doc, want) {
		t.Errorf("got %+v\nwant %+v", doc, want)
	}
	for key, line := range map[string]int{"seed": 2, "inner.name": 7, "steps.1": 11, "steps.1.padding": 12} {
		if lines[key] != line {
			t.Errorf("line of %s = %d, want %d", key, lines[key], line)
		}
	}
	if doc, _, err := decodeText("files: one.bin"); err != nil || len(doc.Files) != 1 || doc.Files[0] != "one.bin" {
		t.Errorf("a single file: %v, %v", doc.Files, err)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "null"} {
		if doc, _, err := decodeText(empty); err != nil || doc.Epochs != 7 {
			t.Errorf("empty document %q: %v", empty, err)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"epoch: 3", `line 1: epoch: unknown key; did you mean "epochs"?`},
		{"seed: 1\ninner:\n  gama: 1", `line 3: inner.gama: unknown key; did you mean "gamma"?`},
		{"inner: {zzz: 1}", `line 1: inner.zzz: unknown key; valid: gamma, name`},
		{"Hidden: 1", `line 1: Hidden: unknown key; valid: seed, epochs, flag, rate, files, inner, pointer, steps, options`},
		{"epochs: many", `line 1: epochs: expected an integer, found the string "many"`},
		{"epochs: 1.5", `line 1: epochs: expected an integer, found 1.5`},
		{"epochs: 99999999999999999999", `line 1: epochs: expected an integer, found 99999999999999999999`},
		{"epochs:", `line 1: epochs: expected an integer, found nothing`},
		{"seed: -1", `line 1: seed: expected an integer of at least 0, found -1`},
		{"flag: yes", `line 1: flag: expected true or false, found the string "yes"`},
		{"rate: .nan", `line 1: rate: expected a finite number, found .nan`},
		{"rate: -.inf", `line 1: rate: expected a finite number, found -.inf`},
		{`rate: "0.1"`, `line 1: rate: expected a number, found the string "0.1"`},
		{"inner: {name: 5}", `line 1: inner.name: expected a string (quote it), found 5`},
		{"inner: [1]", `line 1: inner: expected a mapping, found a list`},
		{"files: {a: b}", `line 1: files: expected a list, found a mapping`},
		{"files: [[a]]", `line 1: files.0: expected a string, found a list`},
		{"options: {a: [1]}", `line 1: options.a: expected a single value, found a list`},
		{"epochs: 1\nepochs: 2", `line 2: epochs: given twice, first at line 1`},
		{"inner: &a {gamma: 1}\npointer: *a", `line 1: inner: anchors and aliases are not supported`},
		{"inner:\n  <<: {gamma: 1}", `line 2: inner: anchors and aliases are not supported`},
		{"[1, 2]: 3", `line 1: keys must be plain words, found a list`},
		{"5: 3", `line 1: keys must be plain words, found 5`},
		{"- a", `line 1: expected a mapping, found a list`},
		{"just text", `line 1: expected a mapping, found the string "just text"`},
		{"epochs: 1\n---\nepochs: 2", `line 2: a second document; keep one`},
		{"epochs: [", `line 1: not valid YAML: did not find expected node content`},
		{"steps:\n  - name: crop\n    when: 2001-01-01", `line 3: steps.0.when: expected a number, a string, true or false, found 2001-01-01`},
		{"steps:\n  - name: crop\n    padding:", `line 3: steps.0.padding: expected a number, a string, true or false, found nothing`},
		{"steps: [5]", `line 1: steps.0: expected a mapping, found 5`},
		{"steps: [{name: a, b: " + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "}]", `line 1: steps.0.b.0.0.0.0.0.0.0.0.0: nested too deeply`},
	}
	for _, tt := range tests {
		_, _, err := decodeText(tt.text)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error is a %T", tt.text, err)
		}
	}
}

func TestDecodeMap(t *testing.T) {
	in := inner{Gamma: 1}
	if err := DecodeMap(map[string]any{"name": "5", "gamma": 2}, &in); err != nil || in != (inner{2, "5"}) {
		t.Errorf("%+v, %v", in, err)
	}
	if err := DecodeMap(map[string]any{"gama": 2}, &in); err == nil || err.Error() != `gama: unknown key; did you mean "gamma"?` {
		t.Errorf("unknown option: %v", err)
	}
	if err := DecodeMap(nil, &in); err != nil {
		t.Error(err)
	}
}

func TestErrorPlaces(t *testing.T) {
	err := Within("schedule", Errorf("gamma", "too large"))
	if err.Error() != "schedule.gamma: too large" {
		t.Error(err)
	}
	if got := Within("schedule", errors.New("bad")).Error(); got != "schedule: bad" {
		t.Error(got)
	}
	if Within("x", nil) != nil {
		t.Error("Within(nil) is not nil")
	}
	if got := Locate(err, "r.yaml", Lines{"schedule.gamma": 4}).Error(); got != "r.yaml:4: schedule.gamma: too large" {
		t.Error(got)
	}
	if got := Locate(err, "r.yaml", Lines{"schedule": 3}).Error(); got != "schedule.gamma: too large" {
		t.Error(got)
	}
	if got := (&Error{File: "r.yaml", Problem: "empty"}).Error(); got != "r.yaml: empty" {
		t.Error(got)
	}
}

func TestLooseStrings(t *testing.T) {
	node, err := Parse([]byte("inner: {name: 123}"))
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := (&Decoder{LooseStrings: true}).Decode(node, &doc); err != nil || doc.Inner.Name != "123" {
		t.Errorf("%+v, %v", doc.Inner, err)
	}
}

func TestKeys(t *testing.T) {
	if got := strings.Join(Keys(&inner{}), " "); got != "gamma name" {
		t.Error(got)
	}
	if got := strings.Join(Keys(step{}), " "); got != "name" {
		t.Error(got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("seed: 1\ninner: {gamma: 0.1}\nsteps: [mirror, {name: crop, padding: 4}]")
	f.Add("inner: &a {gamma: 1}\npointer: *a")
	f.Add("options: {a: 1}\n---\n")
	f.Add("? [a]\n: b")
	f.Add("!0\n-0\n\n-0\n-0\n0")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := decodeText(text)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("error is a %T: %v", err, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("more than one line: %q", err)
		}
	})
}
