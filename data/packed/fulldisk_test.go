//go:build linux

package packed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// onSmallDisk tells the test binary, run again, where the small disk is.
const onSmallDisk = "ORTRAIN_TEST_SMALL_DISK"

// TestFullDisk packs more than a file system of 1 MiB holds: one clear line,
// and nothing left, neither under the pack's name nor under another.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(onSmallDisk); dir != "" {
		fillDisk(dir)
		return
	}
	dir := t.TempDir()
	// A tmpfs in namespaces of our own, which needs no privilege where the
	// system allows such namespaces.
	script := `mount -t tmpfs -o size=1m none "$1" 2>/dev/null || exit 77; shift; exec "$@"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", dir, os.Args[0], "-test.run=^TestFullDisk$")
	cmd.Env = append(os.Environ(), onSmallDisk+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "full disk:") {
		t.Skipf("no small file system to be had here (unshare: %v %s)", err, out)
	}
	for _, want := range []string{"full disk: cannot write " + filepath.Join(dir, "set") + ": no space left on device; nothing is left of it", "left: []"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("printed %q, want %q", out, want)
		}
	}
}

func fillDisk(dir string) {
	w, err := NewWriter(filepath.Join(dir, "set"), Manifest{Pixels: Raw, Width: 100, Height: 100, Channels: 3, Classes: three}, 1<<20)
	if err == nil {
		err = w.Begin(Train)
	}
	for i := 0; i < 100 && err == nil; i++ {
		err = w.Add(0, "", picture(i, 100*100))
	}
	if err == nil {
		_, err = w.Commit()
	}
	w.Abort()
	entries, _ := os.ReadDir(dir)
	fmt.Println("full disk:", err)
	fmt.Println("left:", entries)
}
