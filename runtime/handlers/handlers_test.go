package handlers_test

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ortrain/ortrain/runtime/handlers"
	"github.com/ortrain/ortrain/runtime/handlers/foreign"
)

var taken = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGFPE, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL, syscall.SIGPROF}

func replaceAll(t *testing.T) {
	for _, s := range taken {
		if !foreign.Replace(s) || !foreign.Replaced(s) {
			t.Fatalf("the handler of %v was not replaced", s)
		}
	}
}

// TestKeep: after a library has replaced them, Go's handlers work again: a
// signal is notified, and a nil pointer is a panic that can be recovered.
func TestKeep(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGTERM)
	defer signal.Stop(got)
	n := handlers.Keep(func() {
		replaceAll(t)
		// What Go changes meanwhile is Go's.
		more := make(chan os.Signal, 1)
		signal.Notify(more, syscall.SIGUSR1)
		// The foreign handler is really in force.
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		for end := time.Now().Add(5 * time.Second); foreign.Caught() != syscall.SIGTERM; {
			if time.Now().After(end) {
				t.Fatal("the foreign handler gets no signal")
			}
			time.Sleep(time.Millisecond)
		}
	})
	if n != len(taken) {
		t.Errorf("%d handlers were put back, of %d", n, len(taken))
	}
	for _, s := range taken {
		if foreign.Replaced(s) || !foreign.OnStack(s) {
			t.Errorf("the handler of %v is not Go's", s)
		}
	}
	if !foreign.OnStack(syscall.SIGUSR1) {
		t.Error("a handler that Go installed meanwhile was taken away")
	}
	select {
	case <-got:
		t.Fatal("the signal reached Go while the foreign handler was in force")
	default:
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	select {
	case <-got:
	case <-time.After(5 * time.Second):
		t.Error("SIGTERM does not reach Go")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a nil pointer is no panic")
			}
		}()
		var p *int
		*p = 1
	}()
	if n := handlers.Keep(func() {}); n != 0 {
		t.Errorf("%d handlers were put back that nobody replaced", n)
	}
}

// TestKeepTogether: libraries that replace handlers in several goroutines leave
// Go's behind.
func TestKeepTogether(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				handlers.Keep(func() { foreign.Replace(syscall.SIGINT); foreign.Replace(syscall.SIGFPE) })
			}
		})
	}
	wg.Wait()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGFPE} {
		if foreign.Replaced(s) {
			t.Errorf("the handler of %v is not Go's", s)
		}
	}
}
