package measure

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 100, 1, 2}, 3},
	} {
		given := slices.Clone(c.values)
		if got := Median(given); got != c.want || !slices.Equal(given, c.values) {
			t.Errorf("Median(%v) = %v, want %v; the values became %v", c.values, got, c.want, given)
		}
	}
}

// TestMemory: pages that are written count at once, and the peak outlives them.
func TestMemory(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	const mib = 64
	before, err := ResidentMiB()
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, mib<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	held, err := ResidentMiB()
	if err != nil {
		t.Fatal(err)
	}
	goruntime.KeepAlive(block)
	if held-before < mib/2 {
		t.Errorf("%.1f MiB with %d MiB more than at %.1f MiB", held, mib, before)
	}
	// The kernel counts in batches a thread, so the two may differ by a little.
	if peak, err := PeakMiB(); err != nil || peak < held-1 {
		t.Errorf("the peak is %.1f MiB, %v, after %.1f MiB", peak, err, held)
	}
	if n, err := Status("Threads"); err != nil || n < 1 {
		t.Errorf("%v threads, %v", n, err)
	}
	for _, key := range []string{"Nothing", "Name"} {
		if _, err := Status(key); err == nil {
			t.Errorf("%s was taken for a number", key)
		}
	}
}

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results", "table.csv")
	if err := WriteTable(path, [][]string{{"name", "ms"}, {"a, b", "1"}}, "# on this machine"); err != nil {
		t.Fatal(err)
	}
	const want = "# on this machine\nname,ms\n\"a, b\",1\n"
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
