package folder

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/files"
)

// tree makes empty files, and folders for names that end in a slash.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, n := range names {
		path := filepath.Join(root, n)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name              string
		files             []string
		train, held, test string
	}{
		{"train and val", []string{"train/a/1.png", "val/a/1.png"}, "train", "", "val"},
		{"all three", []string{"train/a/", "valid/a/", "test/a/"}, "train", "valid", "test"},
		{"test without classes", []string{"train/a/", "val/a/", "test/1.png"}, "train", "", "val"},
		{"only training", []string{"train/a/1.png", "words.txt"}, "train", "", ""},
		{"classes", []string{"cat/1.png", "dog/1.png", "test/1.png"}, "", "", ""},
	} {
		root := tree(t, c.files...)
		l, err := Find(root)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, p := range []struct{ got, want string }{{l.Train, c.train}, {l.Validation, c.held}, {l.Test, c.test}} {
			want := p.want
			if want != "" || i == 0 {
				want = filepath.Join(root, want)
			}
			if p.got != want {
				t.Errorf("%s: part %d is %q, want %q", c.name, i, p.got, want)
			}
		}
	}
	if _, err := Find(tree(t, "1.png", ".git/")); err == nil || !strings.Contains(err.Error(), "holds no folders") {
		t.Errorf("a folder of files alone: %v", err)
	}
}

func TestScan(t *testing.T) {
	root := tree(t, "b/2.PNG", "b/1.jpg", "b/deep/er/3.webp", "b/note.txt", "b/.4.jpg", "b/5.jpg/", "a/x.jpg", ".c/1.jpg", "z/1.jpg", "empty/")
	outside := tree(t, "6.jpg")
	link(t, outside, filepath.Join(root, "b/linked"))
	link(t, filepath.Join(outside, "6.jpg"), filepath.Join(root, "a/y.png"))
	link(t, root, filepath.Join(root, "a/loop"))
	link(t, "nowhere", filepath.Join(root, "a/gone.jpg"))
	link(t, "itself", filepath.Join(root, "itself"))
	classes, err := Classes(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "empty", "z"}; !slices.Equal(classes, want) {
		t.Fatalf("classes %v, want %v", classes, want)
	}
	list, problems, err := Scan(root, []string{"a", "b", "empty"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range list.Len() {
		rel, _ := filepath.Rel(root, list.Path(i))
		got = append(got, []string{"a", "b"}[list.Label(i)]+" "+rel)
	}
	if want := []string{"a a/x.jpg", "a a/y.png", "b b/1.jpg", "b b/2.PNG", "b b/deep/er/3.webp", "b b/linked/6.jpg"}; !slices.Equal(got, want) {
		t.Errorf("listed %q\nwant %q", got, want)
	}
	var kinds []string
	for _, p := range problems {
		rel, _ := filepath.Rel(root, p.Path)
		kinds = append(kinds, rel+" "+p.Kind)
	}
	slices.Sort(kinds)
	want := []string{"a/gone.jpg " + files.Unreadable, "a/loop " + files.SymlinkLoop, "itself " + files.SymlinkLoop, "z " + files.UnknownClass}
	if !slices.Equal(kinds, want) {
		t.Errorf("problems %q\nwant %q", kinds, want)
	}
}
