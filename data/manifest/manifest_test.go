package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data/files"
)

func read(text string, o Options) (rows, problems string, err error) {
	var r, p []string
	err = Read(strings.NewReader(text), "m.csv", o, func(x Row) {
		r = append(r, strings.TrimSuffix(fmt.Sprint(x.Line, " ", x.Path, " ", x.Label, " ", x.Split), " "))
	}, func(x files.Problem) { p = append(p, x.Path) })
	return strings.Join(r, "; "), strings.Join(p, " "), err
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, text     string
		opt            Options
		rows, problems string
		err            string
	}{
		{"no header", "a.jpg,cat\nb.jpg,dog\n", Options{}, "1 a.jpg cat; 2 b.jpg dog", "", ""},
		{"three columns", "a.jpg,cat,train\nb.jpg,dog,VAL\nc.jpg,dog,\n", Options{}, "1 a.jpg cat train; 2 b.jpg dog validation; 3 c.jpg dog", "", ""},
		{"header", "id,Label,Path\n1,cat,a.jpg\n2,dog,\"b, c.jpg\"\n", Options{}, "2 a.jpg cat; 3 b, c.jpg dog", "", ""},
		{"header and split", "split;path;class\ntest;a.jpg;x\n", Options{}, "2 a.jpg x test", "", ""},
		{"tabs and mark", "\ufefffile\tlabel\r\na b.jpg\t3\r\n", Options{}, "2 a b.jpg 3", "", ""},
		{"named columns", "photo,path,species,label\np.jpg,q,owl,1\n", Options{"photo", "species"}, "2 p.jpg owl", "", ""},
		{"gaps", "path,label\n,cat\nb.jpg\nc.jpg,\nd.jpg,x\n", Options{}, "5 d.jpg x", "m.csv:2 m.csv:3 m.csv:4", ""},
		{"wrong split", "path,label,split\na,b,holdout\n", Options{}, "", "m.csv:2", ""},
		{"no labels", "path,colour\na,b\n", Options{}, "", "", "m.csv:1: no column of labels"},
		{"unknown name", "path,label\n", Options{Label: "kind"}, "", "", "no column of labels"},
		{"quotes", "a,\"b\nc", Options{}, "", "", "m.csv:"},
		{"empty", "", Options{}, "", "", ""},
	} {
		rows, problems, err := read(c.text, c.opt)
		if rows != c.rows || problems != c.problems {
			t.Errorf("%s: rows %q, problems %q; want %q, %q", c.name, rows, problems, c.rows, c.problems)
		}
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("path,label,split\na.jpg,cat,train\n")
	f.Add("a.jpg;cat\n\"x")
	f.Fuzz(func(t *testing.T, text string) {
		err := Read(strings.NewReader(text), "m.csv", Options{}, func(r Row) {
			if r.Path == "" || r.Label == "" || r.Line < 1 {
				t.Fatalf("row %+v", r)
			}
		}, func(files.Problem) {})
		if err != nil && !strings.HasPrefix(err.Error(), "m.csv:") {
			t.Errorf("error %v", err)
		}
	})
}
