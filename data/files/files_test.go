package files

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func TestNamesAndLabels(t *testing.T) {
	var n Names
	var l Labels
	r := rand.New(rand.NewPCG(1, 2))
	var names []string
	var labels []int
	for i := range 3000 {
		name := fmt.Sprint("é", r.IntN(1<<r.IntN(30)))
		if i%700 == 0 {
			name = ""
		}
		label := r.IntN(200)
		if i > 1000 {
			label = r.IntN(60000)
		}
		if i > 2000 {
			label = r.IntN(1 << 31)
		}
		names, labels = append(names, name), append(labels, label)
		n.Append(name)
		l.Append(label)
	}
	if n.Len() != 3000 || l.Len() != 3000 {
		t.Fatalf("%d names, %d labels", n.Len(), l.Len())
	}
	for i := range names {
		if n.At(i) != names[i] || l.At(i) != labels[i] {
			t.Fatalf("item %d: %q %d, want %q %d", i, n.At(i), l.At(i), names[i], labels[i])
		}
	}
}

func TestList(t *testing.T) {
	var l List
	var want []string
	for f := range 5 {
		for i := range 3 * f {
			folder, name := fmt.Sprint("dir", f), fmt.Sprint(i, ".jpg")
			l.Add(folder, name, f)
			want = append(want, filepath.Join(folder, name))
		}
	}
	if l.Len() != len(want) {
		t.Fatalf("%d files", l.Len())
	}
	for i, w := range want {
		if l.Path(i) != w || fmt.Sprint("dir", l.Label(i)) != filepath.Dir(w) {
			t.Errorf("file %d: %s of class %d, want %s", i, l.Path(i), l.Label(i), w)
		}
	}
}

func TestFormat(t *testing.T) {
	for name, want := range map[string]string{
		"a.JPEG": "jpeg", "a.b.jpg": "jpeg", "x.Png": "png", "x.webp": "webp", "x.gif": "gif", "x.bmp": "bmp", "x.txt": "", "jpg": "", "": "",
	} {
		if got := Format(name); got != want {
			t.Errorf("Format(%q) = %q, want %q", name, got, want)
		}
	}
}
