package recipe

import (
	"strings"
	"testing"
)

const taught = `
average: ema
teacher:
  models:
    - a.onnx
    - {file: dir/b.onnx, weight: 0.5, size: [224, 224], layout: nhwc, mean: [0, 0, 0], std: [1, 1, 1], class_order: [1, 0], values: probabilities}
  temperature: {course: cosine, from: 8, to: 1}
  alpha: 0.7
  cache: epochs
  cache_dir: /tmp/logits
`

// TestTeacher: the section is read, completed and written; resolving again
// changes nothing, and where the files lie does not change the hash.
func TestTeacher(t *testing.T) {
	r, err := Parse([]byte(taught), "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	full, err := r.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	got := full.Teacher
	if got.Form != "weighted" || got.Alpha.From != 0.7 || got.Temperature.At(0, 9) != 8 || got.Average != Probabilities ||
		*got.Models[0].Weight != 1 || got.Models[0].File != "a.onnx" || got.Models[1].Layout != NHWC || got.Models[1].Size[1] != 224 {
		t.Errorf("resolved to %+v", got)
	}
	text, err := full.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text, "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if again, err = again.Resolve(); err != nil {
		t.Fatal(err)
	}
	if more, _ := again.Marshal(); string(more) != string(text) {
		t.Errorf("resolving again gives\n%s\nnot\n%s", more, text)
	}
	hash := func(changes ...string) string {
		c := r.clone()
		for _, s := range changes {
			if err := c.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		h, err := c.Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash() != hash("teacher.cache_dir=/elsewhere", "teacher.models.0.file=/moved/a.onnx", "teacher.cache=none") {
		t.Error("where files lie changes the hash")
	}
	for _, s := range []string{"teacher.alpha=0.6", "teacher.models.0.sha256=12", "teacher.cache=plain", "teacher.average=logits", "teacher.models.1.weight=2"} {
		if hash() == hash(s) {
			t.Errorf("%s does not change the hash", s)
		}
	}
	if r.Teacher.Form != "" || r.Teacher.Average != "" {
		t.Error("resolving changed the recipe it was given")
	}
}

func TestTeacherRefusals(t *testing.T) {
	for _, c := range []struct{ settings, want string }{
		{"teacher.temperature=4", "teacher.models: missing"},
		{"teacher.models=[a.onnx] teacher.temperature=0", "teacher.temperature: must be above 0"},
		{"teacher.models=[a.onnx] teacher.alpha=2", "teacher.alpha: must be 0 to 1"},
		{"teacher.models=[a.onnx] teacher.form=survey teacher.alpha=0.5", "teacher.alpha: belongs to form weighted"},
		{"teacher.models=[a.onnx] teacher.cache=plains", `teacher.cache: unknown value "plains"; did you mean "plain"?`},
		{"teacher.models=[a.onnx] teacher.cache=plain mix=[mixup]", "teacher.cache: plain keeps the logits of images that are not mixed, but mix asks for mixup"},
		{"teacher.models=[{file: a.onnx, weight: 0}]", "teacher.models: the weights sum to 0"},
		{"teacher.models=[{file: a.onnx, weight: -1}]", "teacher.models.0.weight: must not be negative"},
		{"teacher.models=[{weight: 1}]", "teacher.models.0.file: missing"},
		{"teacher.models=[{file: a.onnx, size: [3]}]", "teacher.models.0.size: must be [height, width]"},
		{"teacher.models=[{file: a.onnx, std: [0]}]", "teacher.models.0.std"},
		{"teacher.models=[{file: a.onnx, classes: [a], class_order: [0]}]", "teacher.models.0.class_order: contradicts classes"},
		{"teacher.models=[{file: a.onnx, values: logit}]", `did you mean "logits"`},
		{"teacher.self=true", "teacher.self: the teacher is the moving average of the weights, which this run does not keep"},
		{"teacher.self=true average=ema teacher.models=[a.onnx]", "teacher.self: contradicts teacher.models"},
		{"teacher.self=true average=ema teacher.generations=2", "teacher.self: contradicts teacher.generations"},
		{"teacher.self=true average=ema teacher.cache=epochs", "teacher.cache: a teacher that changes"},
		{"teacher.generations=-1", "teacher.generations: must be 0"},
	} {
		r := Default()
		for _, s := range split(c.settings) {
			if err := r.Set(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		if _, err := r.Resolve(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.settings, err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"teacher: {temprature: 4}", `r.yaml:1: teacher.temprature: unknown key; did you mean "temperature"?`},
		{"teacher:\n  models:\n    - {file: a.onnx, wieght: 1}", `r.yaml:3: teacher.models.0.wieght: unknown key; did you mean "weight"?`},
		{"teacher: {temperature: hot}", `teacher.temperature: expected a number or a mapping, found the string "hot"`},
		{"teacher: {temperature: {course: linear, form: 2}}", `teacher.temperature.form: unknown key; did you mean "from"?`},
		{"teacher: {self: 1}", "teacher.self: expected true or false"},
	} {
		if _, err := Parse([]byte(c.text), "r.yaml"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// split cuts settings at the spaces before a key.
func split(s string) []string {
	var out []string
	for _, word := range strings.Split(s, " ") {
		key, _, ok := strings.Cut(word, "=")
		if ok && !strings.ContainsAny(key, "{[:,") {
			out = append(out, word)
			continue
		}
		out[len(out)-1] += " " + word
	}
	return out
}
