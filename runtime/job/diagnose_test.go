package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime"
)

func TestDiagnose(t *testing.T) {
	if _, err := runtime.FindLibrary(""); err != nil {
		t.Fatal(err)
	}
	d := Diagnose(Execution{}, t.TempDir())
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if !d.SelfTest.Run || d.SelfTest.Loss < 1 || d.SelfTest.Loss > 6 {
		t.Errorf("the self test's loss is %v; about ln(10) = 2.3 is expected", d.SelfTest.Loss)
	}
	if len(d.DataSets) < 4 {
		t.Errorf("only %d data sets are known", len(d.DataSets))
	}
	for _, f := range d.DataSets {
		if f.Problem == "" || f.Train != 0 {
			t.Errorf("%s was found in an empty folder: %+v", f.Name, f)
		}
	}
}

func TestDiagnoseUnfitLibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libfoo.so")
	if err := os.WriteFile(path, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := Diagnose(Execution{Library: path}, t.TempDir())
	err := d.Err()
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v does not name %s in a line", err, path)
	}
	if d.SelfTest.Run {
		t.Error("an unfit library was run")
	}
}
