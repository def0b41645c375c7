package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks"
)

// TestHelp: every command explains itself in a few lines with an example.
func TestHelp(t *testing.T) {
	general := must(t).out
	if again := must(t, "help").out; again != general || must(t, "--help").out != general {
		t.Error("help differs between its three ways")
	}
	for _, c := range newApp(&stream{}, &stream{}).Commands {
		if !strings.Contains(general, "\n  "+c.Name+" ") {
			t.Errorf("the overview lacks %s", c.Name)
		}
		text := must(t, c.Name, "--help").out
		if must(t, "help", c.Name).out != text {
			t.Errorf("help %s differs from %s --help", c.Name, c.Name)
		}
		if !strings.Contains(text, "\n  ortrain "+c.Name) {
			t.Errorf("%s: no example:\n%s", c.Name, text)
		}
		if strings.Contains(text, "(default: 0)") || strings.Contains(text, "`") || strings.Count(text, "\n") > 60 {
			t.Errorf("%s: the help reads badly:\n%s", c.Name, text)
		}
		for _, f := range c.Flags {
			if !strings.Contains(text, "--"+f.Names()[0]) {
				t.Errorf("%s: help lacks --%s", c.Name, f.Names()[0])
			}
		}
	}
}

// TestContract: the names that scripts rely on.
func TestContract(t *testing.T) {
	for command, flags := range map[string]string{
		"train": "recipe set data data-dir train-files test-files model epochs batch lr seed threads provider limit out resume",
		"eval":  "run onnx json", "export": "run out", "predict": "onnx", "inspect": "", "doctor": "", "list": "",
	} {
		text := must(t, command, "--help").out
		for _, f := range strings.Fields(flags) {
			if !regexp.MustCompile(`(?m)^  --` + f + `\b`).MatchString(text) {
				t.Errorf("%s has no flag --%s", command, f)
			}
		}
	}
}

func TestList(t *testing.T) {
	var schedules, all []string
	for _, k := range tricks.All("") {
		all = append(all, k.Name)
		if k.Kind == tricks.Schedule {
			schedules = append(schedules, k.Name)
		}
	}
	for subject, names := range map[string][]string{
		"models": models.Names(), "optimizers": optimizer.Names(), "schedules": schedules, "tricks": all, "datasets": data.Names(),
	} {
		text := must(t, "list", subject).out
		var values []struct{ Name string }
		if err := json.Unmarshal([]byte(must(t, "list", "--json", subject).out), &values); err != nil {
			t.Fatal(err)
		}
		if len(values) != len(names) || len(names) == 0 {
			t.Errorf("%s: %d as JSON, %d registered", subject, len(values), len(names))
		}
		for i, n := range names {
			if !strings.Contains(text, "\n"+n+" ") || values[i].Name != n {
				t.Errorf("list %s lacks %s", subject, n)
			}
		}
	}
	if o := must(t, "list", "models").out; !regexp.MustCompile(`\nresnet20 +269,722 `).MatchString(o) {
		t.Errorf("ResNet-20 has 269,722 parameters:\n%s", o)
	}
}

// TestCards: each trick's card can be printed.
func TestCards(t *testing.T) {
	for _, k := range tricks.All("") {
		if o := must(t, "tricks", k.Name).out; o != strings.TrimSpace(k.Card)+"\n" {
			t.Errorf("tricks %s prints %q", k.Name, o)
		}
	}
	if must(t, "tricks").out != must(t, "list", "tricks").out {
		t.Error("tricks without a name does not list them")
	}
}

func TestVersion(t *testing.T) {
	if o := must(t, "version").out; !strings.HasPrefix(o, "ortrain dev (go") || o != must(t, "--version").out {
		t.Errorf("version prints %q", o)
	}
}

func TestDoctor(t *testing.T) {
	lib := ortest.Open(t)
	o := must(t, "doctor", "--data-dir", bars(t))
	for _, want := range []string{lib.Version, lib.Path, "CPUExecutionProvider", "thread", "a training step works", "256 training and 100 test images", "training works here"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, o.out)
		}
	}
	var d job.Diagnosis
	decode(t, must(t, "doctor", "--json").out, &d)
	if d.Library.Path != lib.Path || !d.SelfTest.Run {
		t.Errorf("diagnosis is %+v", d)
	}
	file := t.TempDir() + "/lib.so"
	write(t, file, []byte("nothing"))
	bad := ortrain(t, "doctor", "--library", file)
	if bad.code != exitError || !strings.Contains(bad.err, file) || !strings.Contains(bad.err, "make setup") || strings.Count(bad.err, "\n") != 1 {
		t.Errorf("doctor with an unfit library: exit code %d, %q", bad.code, bad.err)
	}
}

// faulty is a writer with a programmer's mistake in it.
type faulty struct{}

func (faulty) Write([]byte) (int, error) { panic("the pen is broken\nin two") }

// TestCrash: a panic is one line that names a file with the trace.
func TestCrash(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var said bytes.Buffer
	code := run(t.Context(), []string{"ortrain", "version"}, &stream{Writer: faulty{}}, &stream{Writer: &said})
	m := regexp.MustCompile(`^ortrain: internal error: the pen is broken in two; please report it with the trace in (\S+)\n$`).FindStringSubmatch(said.String())
	if code != exitError || m == nil {
		t.Fatalf("exit code %d, %q", code, said.String())
	}
	if trace := string(read(t, m[1])); !strings.Contains(trace, "faulty") {
		t.Errorf("the trace does not name the culprit:\n%s", trace)
	}
}

// TestLiveLine: on a terminal the line is redrawn in place, never wraps, and
// gives way to the lines that stay.
func TestLiveLine(t *testing.T) {
	for _, width := range []int{20, 60, 100, 200} {
		var b bytes.Buffer
		p := newProgress(&stream{Writer: &b, live: true, colour: true, width: func() int { return width }})
		now := time.Unix(0, 0)
		p.now = func() time.Time { return now }
		p.Start(job.Plan{Model: "m", Dataset: "d", Out: "o"})
		b.Reset()
		for step := range 50 {
			now = now.Add(time.Second)
			p.Step(job.Progress{Epochs: 3, Step: step + 1, StepsPerEpoch: 50, Loss: 1.5, Accuracy: 0.25, LR: 0.1, ImagesPerSecond: 1234, Left: 65 * time.Second})
		}
		p.Evaluating(5, 10)
		if strings.Contains(b.String(), "\n") {
			t.Errorf("width %d: the live line leaves lines behind", width)
		}
		for frame := range strings.SplitSeq(b.String(), "\r") {
			if n := visible(strings.TrimSuffix(frame, "\x1b[K")); n >= width {
				t.Errorf("width %d: a frame of %d columns: %q", width, n, frame)
			}
		}
		if width >= 100 && !strings.Contains(b.String(), "1:05 left") {
			t.Errorf("width %d: no time left: %q", width, b.String())
		}
		b.Reset()
		p.Epoch(job.Epoch{Progress: job.Progress{Epochs: 1}, HeldOut: "test", Top1: 0.5})
		if !strings.HasPrefix(b.String(), "\r\x1b[K") || !strings.HasSuffix(b.String(), "\n") {
			t.Errorf("width %d: the epoch's line does not replace the live line: %q", width, b.String())
		}
		b.Reset()
		if p.close(); b.Len() != 0 {
			t.Errorf("width %d: nothing was live, and yet %q was erased", width, b.String())
		}
	}
}

// TestPlainLines: elsewhere a line now and then, and no escape sequences.
func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&stream{Writer: &b})
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	p.Start(job.Plan{Model: "m", Dataset: "d", Out: "o", FirstEpoch: 1})
	b.Reset()
	for step := range 100 {
		now = now.Add(time.Second)
		p.Step(job.Progress{Epochs: 2, Step: step + 1, StepsPerEpoch: 1000})
		p.Evaluating(step, 100)
	}
	if n := strings.Count(b.String(), "\n"); n != 3 || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("%d lines in 100 seconds, want 3: %q", n, b.String())
	}
}

// TestNoColour: a file is no terminal, and NO_COLOR is heeded elsewhere.
func TestNoColour(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s := terminal(f); s.colour || s.live {
		t.Error("a file is taken for a terminal")
	}
	if s := (&stream{}).red("x"); s != "x" {
		t.Errorf("colour without a terminal: %q", s)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"},
		{plural(1, "image"), "1 image"}, {plural(2, "image"), "2 images"},
		{percent(0.98765, 1), "98.8 %"}, {short(999), "999"}, {short(269722), "270 k"}, {short(40551040), "40.6 M"}, {short(9150000), "9.15 M"},
		{fileSize(12), "12 B"}, {fileSize(306942), "299.7 KiB"},
		{duration(3.21), "3.2 s"}, {duration(61.2), "61 s"}, {duration(125), "2:05 min"}, {duration(3700), "1:01:40 h"},
		{clock(59 * time.Second), "0:59"}, {rate(0.1), "0.1"}, {shellWord("runs/a-1"), "runs/a-1"}, {shellWord("it's"), `'it'\''s'`},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	var b bytes.Buffer
	(&stream{Writer: &b}).table([]string{"a", ">n"}, [][]string{{"äö", "1"}, {"b", "1,000"}})
	if b.String() != "a       n\näö      1\nb   1,000\n" || !utf8.Valid(b.Bytes()) {
		t.Errorf("table is %q", b.String())
	}
}
