// Package handlers keeps the process's signal handlers when a native library
// replaces them.
//
// ONNX Runtime's CUDA provider installs handlers of its own while a session is
// made. They do not run on Go's signal stack (SA_ONSTACK) and know nothing of
// goroutines: the next Ctrl-C, or a nil pointer, then ends a Go program with a
// crash instead of a message.
package handlers

/*
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

enum { first = 1, last = 64 };

typedef struct {
	struct sigaction action[last + 1];
	int known[last + 1];
} handlers;

static handlers saved;

// save takes down the handlers of all signals that can have one.
static void save(void) {
	for (int s = first; s <= last; s++) {
		saved.known[s] = sigaction(s, NULL, &saved.action[s]) == 0;
	}
}

// restore puts back what was replaced and returns how many that were. A signal
// whose handler is now Go's, which is the one of SIGURG, was changed by Go.
static int restore(void) {
	int n = 0;
	for (int s = first; s <= last; s++) {
		struct sigaction now, *then = &saved.action[s];
		if (!saved.known[s] || sigaction(s, NULL, &now) != 0) continue;
		if (now.sa_sigaction == then->sa_sigaction && now.sa_flags == then->sa_flags) continue;
		if (s != SIGURG && saved.known[SIGURG] && now.sa_sigaction == saved.action[SIGURG].sa_sigaction) continue;
		if (sigaction(s, then, NULL) == 0) n++;
	}
	return n;
}
*/
import "C"

import "sync"

var keeping struct {
	sync.Mutex
	// calls is the number of calls of f in progress: the handlers are taken
	// down before the first and put back after each.
	calls int
}

// Keep calls f and then puts back the signal handlers that it has replaced; it
// returns how many. It may be called from several goroutines at a time.
func Keep(f func()) (replaced int) {
	keeping.Lock()
	if keeping.calls == 0 {
		C.save()
	}
	keeping.calls++
	keeping.Unlock()
	defer func() {
		keeping.Lock()
		defer keeping.Unlock()
		keeping.calls--
		replaced = int(C.restore())
	}()
	f()
	return 0
}
