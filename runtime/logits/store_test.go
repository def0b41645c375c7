package logits

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func open(t *testing.T, path, key string, floats int) (*Store, bool) {
	t.Helper()
	s, replaced, err := Open(path, key, floats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, replaced
}

// TestStore: rows come back in any order and from another opening, a row that
// was not written is absent, and another key's file is replaced.
func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "store")
	s, replaced := open(t, path, "one", 3)
	if replaced || !s.Fresh() {
		t.Error("a new store is not fresh")
	}
	rows := map[int][]float32{7: {1, -2, 3.5}, 0: {0, 0, 0}, 1000: {4, 5, 6}}
	for i, row := range rows {
		if err := s.Write(i, row); err != nil {
			t.Fatal(err)
		}
	}
	again, replaced := open(t, path, "one", 3)
	if replaced || again.Fresh() {
		t.Error("an old store is taken for a new one")
	}
	got := make([]float32, 3)
	for i := range 1002 {
		ok, err := again.Read(i, got)
		want, there := rows[i]
		if err != nil || ok != there || ok && !slices.Equal(got, want) {
			t.Fatalf("row %d: %v, %v, %v", i, ok, got, err)
		}
	}
	if _, err := again.Read(0, got[:2]); err == nil {
		t.Error("a row of another length was read")
	}
	other, replaced := open(t, path, "two", 3)
	if ok, err := other.Read(7, got); !replaced || ok || err != nil {
		t.Errorf("another key's store: replaced %v, has the row %v, %v", replaced, ok, err)
	}
}

// TestDamage flips every byte of a row in turn, and cuts it at every length:
// the row is never read as if it were sound.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, _ := open(t, path, "k", 3)
	if err := s.Write(1, []float32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, 3)
	check := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Read(1, row); ok || !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: read %v, %v", what, ok, err)
		}
	}
	start := len(whole) - rowHeader - 12
	for i := start; i < len(whole); i++ {
		b := slices.Clone(whole)
		b[i] ^= 0x40
		check("a changed byte", b)
		if i > start+4 {
			check("cut off", whole[:i])
		}
	}
	// A row moved to another's place is not that row.
	moved := slices.Clone(whole)
	copy(moved[headerSize:], whole[start:])
	if err := os.WriteFile(path, moved, 0o644); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Read(0, row); ok || !errors.Is(err, ErrDamaged) {
		t.Errorf("a moved row: %v, %v", ok, err)
	}
	if err := s.Write(0, []float32{7, 8, 9}); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Read(0, row); !ok || err != nil || row[2] != 9 {
		t.Errorf("a row written again: %v, %v, %v", ok, row, err)
	}
	// A damaged header is not trusted.
	whole[3] ^= 1
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if s, replaced := open(t, path, "k", 3); !replaced || !s.Fresh() {
		t.Error("a damaged header was accepted")
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(file, "store")} {
		if _, _, err := Open(path, "k", 1); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
	if err := (*Store)(nil).Close(); err != nil {
		t.Error(err)
	}
}
