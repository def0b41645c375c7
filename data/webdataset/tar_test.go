package webdataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/files"
)

type member struct{ name, body string }

func shard(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: 0o644}
		if strings.HasSuffix(m.name, "/") {
			h = &tar.Header{Name: m.name, Typeflag: tar.TypeDir}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// scanned lists what a shard holds: "label=contents", and the problems' kinds.
func scanned(b []byte, o Options) (samples, problems []string) {
	Scan(bytes.NewReader(b), int64(len(b)), "s.tar", o, func(s Sample) {
		samples = append(samples, s.Label+"="+string(b[s.Offset:s.Offset+s.Size]))
	}, func(p files.Problem) { problems = append(problems, p.Path+" "+p.Kind) })
	return samples, problems
}

func TestScan(t *testing.T) {
	long := strings.Repeat("deep/", 60)
	for _, c := range []struct {
		name     string
		opt      Options
		members  []member
		samples  string
		problems string
	}{
		{"class files", Options{}, []member{{"a/", ""}, {"a/1.jpg", "one"}, {"a/1.cls", "3"}, {"a/2.cls", "4"}, {"a/2.PNG", "two"}}, "3=one 4=two", ""},
		{"json", Options{}, []member{{"1.json", `{"label": 5, "x": [1]}`}, {"1.webp", "w"}, {"2.jpeg", "j"}, {"2.json", `{"cls": "cat"}`}}, "5=w cat=j", ""},
		{"a key of json", Options{Label: "kind"}, []member{{"1.jpg", "x"}, {"1.json", `{"label": 5, "kind": 6}`}}, "6=x", ""},
		{"an ending of images", Options{Image: "in.png"}, []member{{"1.in.png", "x"}, {"1.mask.png", "m"}, {"1.cls", "0"}}, "0=x", ""},
		{"long names", Options{}, []member{{long + "x.jpg", "x"}, {long + "x.cls", "1"}}, "1=x", ""},
		{"masks are no images", Options{}, []member{{"1.jpg", "x"}, {"1.seg.png", "m"}, {"1.cls", "0"}}, "0=x", ""},
		{"two images", Options{}, []member{{"1.jpg", "x"}, {"1.png", "y"}, {"1.cls", "0"}}, "0=x", "s.tar/1.png duplicate"},
		{"halves", Options{}, []member{{"1.jpg", "x"}, {"2.cls", "0"}, {"3.txt", ""}, {"4.jpg", "x"}, {"4.json", `[1]`}}, "", "s.tar/1 no label s.tar/2 no label s.tar/4 no label"},
		{"hidden", Options{}, []member{{"._1.jpg", "x"}, {"1.jpg", "x"}, {"1.cls", "0"}}, "0=x", ""},
		{"nothing", Options{}, nil, "", "s.tar empty"},
	} {
		samples, problems := scanned(shard(t, c.members...), c.opt)
		if got := strings.Join(samples, " "); got != c.samples {
			t.Errorf("%s: samples %q, want %q", c.name, got, c.samples)
		}
		if got := strings.Join(problems, " "); got != c.problems {
			t.Errorf("%s: problems %q, want %q", c.name, got, c.problems)
		}
	}
}

// TestCutOff: a shard that ends anywhere keeps the samples before.
func TestCutOff(t *testing.T) {
	var members []member
	for i := range 4 {
		members = append(members, member{fmt.Sprint(i, ".jpg"), strings.Repeat("x", 700)}, member{fmt.Sprint(i, ".cls"), "0"})
	}
	whole := shard(t, members...)
	const sample = 512 + 1024 + 1024
	for n := 0; n < 4*sample; n += 100 {
		samples, problems := scanned(whole[:n], Options{})
		if least, most := n/sample-1, n/sample+1; len(samples) < least || len(samples) > most {
			t.Fatalf("%d bytes: %d samples", n, len(samples))
		}
		if len(problems) == 0 {
			t.Fatalf("%d bytes: no problem reported", n)
		}
	}
}

// TestSparse: what GNU tar --sparse writes has no place of its own.
func TestSparse(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "1.cls", Size: 1}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("0"))
	w.Flush()
	raw := bytes.Clone(b.Bytes())
	// An old GNU sparse header: type S, no sparse blocks.
	h := bytes.Clone(raw[:512])
	copy(h, "1.jpg\x00")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	copy(h[483:], "00000000001\x00")
	copy(h[124:], "00000000001\x00")
	copy(h[386:], "00000000000\x0000000000001\x00")
	var sum int64
	copy(h[148:156], "        ")
	for _, c := range h {
		sum += int64(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	raw = append(raw, h...)
	raw = append(raw, make([]byte, 512+1024)...)
	samples, problems := scanned(raw, Options{})
	if len(samples) > 0 || len(problems) == 0 {
		t.Errorf("samples %q, problems %q", samples, problems)
	}
}

// TestFixtures reads what Python's tarfile wrote.
func TestFixtures(t *testing.T) {
	for name, labels := range map[string][]string{"train-0.tar": {"0", "1", "2"}, "train-1.tar": {"0", "1", "2"}} {
		b, err := os.ReadFile("../../testdata/formats/" + name)
		if err != nil {
			t.Fatal(err)
		}
		samples, problems := scanned(b, Options{})
		if len(samples) != 12 || len(problems) > 0 {
			t.Fatalf("%s: %d samples, problems %q", name, len(samples), problems)
		}
		for i, s := range samples {
			label, body, _ := strings.Cut(s, "=")
			if label != labels[i%3] || !strings.HasPrefix(body, "\x89PNG") {
				t.Errorf("%s: sample %d: label %s, %q…", name, i, label, body[:4])
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(shard(f, member{"1.jpg", "x"}, member{"1.cls", "0"}, member{"2.png", "y"}, member{"2.json", `{"label":1}`}))
	f.Add(shard(f, member{strings.Repeat("l", 200) + ".jpg", "x"}))
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []string
		Scan(bytes.NewReader(b), int64(len(b)), "s", Options{}, func(s Sample) {
			if s.Offset < 512 || s.Size < 0 || s.Offset+s.Size > int64(len(b)) {
				t.Fatalf("a sample outside the shard: %+v of %d", s, len(b))
			}
			all = append(all, s.Label)
		}, func(p files.Problem) {
			if p.Path == "" || p.Detail == "" || strings.Contains(p.Detail, "\n") {
				t.Errorf("problem %+v", p)
			}
		})
		_ = slices.Max(append(all, ""))
	})
}
