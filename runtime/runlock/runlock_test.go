package runlock

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const asHolder = "RUNLOCK_TEST_HOLD"

// TestMain lets the test binary be the other process: it locks a folder and
// waits to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(asHolder); dir != "" {
		l, err := Take(dir)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		time.Sleep(time.Minute)
		l.Release()
	}
	os.Exit(m.Run())
}

// TestOtherProcess: a folder that another process holds is refused with a line
// that names both; when that process is killed the folder is free.
func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), asHolder+"="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	host, _ := os.Hostname()
	for what, err := range map[string]error{"Take": second(dir), "Check": Check(dir)} {
		var held *HeldError
		if !errors.As(err, &held) || held.Holder != fmt.Sprintf("pid %d on %s", other.Process.Pid, host) ||
			!strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	other.Process.Kill()
	other.Wait()
	if _, err := os.Stat(filepath.Join(dir, File)); err != nil {
		t.Errorf("the killed process should have left its file: %v", err)
	}
	if err := Check(dir); err != nil {
		t.Error(err)
	}
	l, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	l.Release()
	if _, err := os.Stat(filepath.Join(dir, File)); !os.IsNotExist(err) {
		t.Errorf("the lock's file stays: %v", err)
	}
}

func second(dir string) error {
	l, err := Take(dir)
	l.Release()
	return err
}

// TestOneAtATime: of many that take and release the lock, one has it at a time.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	var inside, had atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				l, err := take(filepath.Join(dir, File))
				if err != nil {
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				had.Add(1)
				inside.Add(-1)
				l.Release()
			}
		})
	}
	wg.Wait()
	if had.Load() < 8 {
		t.Errorf("the lock was had %d times", had.Load())
	}
}

func TestNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Take(dir); err == nil || !strings.Contains(err.Error(), dir) || strings.Count(err.Error(), dir) != 1 {
		t.Errorf("error %v", err)
	}
	if err := Check(dir); err != nil {
		t.Error(err)
	}
}
