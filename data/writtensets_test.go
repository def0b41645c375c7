package data

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// Every format that carries images of class c in the shade of class c.

func tarOf(t testing.TB, members map[string][]byte) []byte {
	t.Helper()
	names := make([]string, 0, len(members))
	for n := range members {
		names = append(names, n)
	}
	slices.Sort(names)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Name: n, Size: int64(len(members[n])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		w.Write(members[n])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func shard(t testing.TB, from, n int, label func(i int) string) []byte {
	m := map[string][]byte{}
	for i := from; i < from+n; i++ {
		m[fmt.Sprintf("%03d.jpg", i)] = jpegFile(t, 9, 8+i%3, uint8(40+80*(i%3)))
		m[fmt.Sprintf("%03d.cls", i)] = []byte(label(i))
	}
	return tarOf(t, m)
}

// consistent checks that each image is as dark as its class, named by its
// number, says.
func consistent(t *testing.T, set *Dataset, names ...string) {
	t.Helper()
	if !slices.Equal(set.Classes, names) {
		t.Errorf("classes %q, want %q", set.Classes, names)
	}
	var img pixel.Image
	for _, part := range []*Subset{set.Train, set.Test} {
		if part.Len() == 0 {
			t.Error("an empty part")
		}
		for i, at := range listed(part) {
			e := part.Source.(Encoded)
			if err := e.Read(at, &img); err != nil {
				t.Error(err)
				continue
			}
			if got, want := int(img.Pix[0]), 40+80*part.Label(i); got < want-3 || got > want+3 {
				t.Errorf("%s: level %d of class %d", e.Name(at), got, part.Label(i))
			}
		}
	}
}

func TestWebDataset(t *testing.T) {
	dir := t.TempDir()
	number := func(i int) string { return fmt.Sprint(i%3, "\n") }
	write(t, filepath.Join(dir, "set-train-000.tar"), shard(t, 0, 10, number))
	write(t, filepath.Join(dir, "set-train-001.tar"), shard(t, 10, 8, number))
	write(t, filepath.Join(dir, "set-val-000.tar"), shard(t, 0, 5, number))
	name, at, err := Detect(dir)
	if err != nil || name != "webdataset" {
		t.Fatalf("detected %q, %v", name, err)
	}
	o := Options{Name: name, Dir: at, Size: 8}
	set, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Len() != 18 || set.Test.Len() != 5 {
		t.Errorf("%d training and %d test images", set.Train.Len(), set.Test.Len())
	}
	consistent(t, set, "0", "1", "2")
	if got, want := set.Train.Source.(Encoded).Name(12), filepath.Join(dir, "set-train-001.tar")+"/012.jpg"; got != want {
		t.Errorf("image 12 is named %q, want %q", got, want)
	}
	write(t, filepath.Join(dir, ClassesFile), []byte("ant\nbee\ncow\n"))
	if set, err = Open(o); err != nil {
		t.Fatal(err)
	}
	consistent(t, set, "ant", "bee", "cow")
	// A class that the training set lacks, and a shard that is cut off.
	write(t, filepath.Join(dir, "set-val-001.tar"), shard(t, 0, 2, func(int) string { return "7" }))
	whole := shard(t, 0, 6, number)
	write(t, filepath.Join(dir, "set-train-002.tar"), whole[:len(whole)/2])
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "set-train-002.tar") || !strings.Contains(err.Error(), "skip_broken=3") {
		t.Errorf("damaged shards: %v", err)
	}
	o.SkipBroken = 3
	if set, err = Open(o); err != nil {
		t.Fatal(err)
	}
	consistent(t, set, "ant", "bee", "cow")
	if len(set.Problems) != 3 || set.Test.Len() != 5 {
		t.Errorf("problems %v, %d test images", set.Problems, set.Test.Len())
	}
	o.TrainFiles = []string{"set-train-000.tar"}
	o.TestFiles = []string{"set-val-000*"}
	if set, err = Open(o); err != nil || set.Train.Len() != 10 || set.Test.Len() != 5 {
		t.Errorf("named files: %v", err)
	}
}

func TestCSV(t *testing.T) {
	dir := t.TempDir()
	shades(t, filepath.Join(dir, "files"), 6, 2)
	var all, train, test strings.Builder
	all.WriteString("label,path,split\n")
	for c, class := range []string{"ant", "bee", "cow"} {
		for i := range 6 {
			name := fmt.Sprintf("files/train/%s/%03d.%s", class, i, []string{"png", "jpg"}[i%2])
			split := []string{"train", "val"}[i/5]
			fmt.Fprintf(&all, "%s,%s,%s\n", class, name, split)
			if i < 5 {
				fmt.Fprintf(&train, "%s,%d\n", name, c)
			} else {
				fmt.Fprintf(&test, "%s,%d\n", filepath.Join(dir, name), c)
			}
		}
	}
	write(t, filepath.Join(dir, "one/images.csv"), []byte(strings.ReplaceAll(all.String(), "files/", "../files/")))
	write(t, filepath.Join(dir, "train.csv"), []byte(train.String()))
	write(t, filepath.Join(dir, "test.csv"), []byte(test.String()))
	for at, names := range map[string][]string{"one": {"ant", "bee", "cow"}, "one/images.csv": {"ant", "bee", "cow"}, "": {"0", "1", "2"}} {
		name, path, err := Detect(filepath.Join(dir, at))
		if err != nil || name != "csv" {
			t.Fatalf("%s: detected %q, %v", at, name, err)
		}
		set, err := Open(Options{Name: name, Dir: path, Size: 8})
		if err != nil {
			t.Fatal(err)
		}
		if set.Train.Len() != 15 || set.Test.Len() != 3 {
			t.Errorf("%s: %d training and %d test images", at, set.Train.Len(), set.Test.Len())
		}
		consistent(t, set, names...)
	}
	write(t, filepath.Join(dir, "gone/train.csv"), []byte("a.jpg,x\nb.jpg,y\n"))
	set, err := Open(Options{Name: "csv", Dir: filepath.Join(dir, "gone"), Size: 8, TestSplit: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Train.Source.Read(0, &pixel.Image{}); !os.IsNotExist(err) || !strings.Contains(err.Error(), "a.jpg") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestParquet(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"train", "validation"} {
		b, err := os.ReadFile("../testdata/formats/train-defaults.parquet")
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "data", part+"-00000-of-00001.parquet"), b)
	}
	name, at, err := Detect(dir)
	if err != nil || name != "parquet" {
		t.Fatalf("detected %q, %v", name, err)
	}
	o := Options{Name: name, Dir: at, Size: 8}
	set, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Classes, []string{"ant", "bee", "cow"}) || set.Train.Len() != 24 || set.Test.Len() != 24 {
		t.Errorf("%d and %d images of classes %q", set.Train.Len(), set.Test.Len(), set.Classes)
	}
	var img pixel.Image
	for i := range 24 {
		if err := set.Test.Source.Read(i, &img); err != nil {
			t.Fatal(err)
		}
		if set.Test.Label(i) != i%3 || img.W != 5+i%4 || int(img.Pix[0]) != 10*i {
			t.Errorf("image %d: %v of class %d, red %d", i, img.Size, set.Test.Label(i), img.Pix[0])
		}
	}
	b, err := os.ReadFile("../testdata/formats/train-missing.parquet")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "data", "test-0.parquet"), b)
	if _, err = Open(o); err == nil || !strings.Contains(err.Error(), "test-0.parquet row 9") || !strings.Contains(err.Error(), "no label") {
		t.Errorf("a row without a label: %v", err)
	}
}
