// Package foreign replaces signal handlers as a native library does, for tests.
package foreign

/*
#include <signal.h>
#include <string.h>

static volatile int caught;

static void handler(int s) { caught = s; }

static int lastCaught(void) { return caught; }

// replace installs a handler without SA_ONSTACK, which Go does not survive.
static int replace(int s) {
	struct sigaction a;
	memset(&a, 0, sizeof a);
	a.sa_handler = handler;
	return sigaction(s, &a, NULL);
}

static int isForeign(int s) {
	struct sigaction a;
	return sigaction(s, NULL, &a) == 0 && a.sa_handler == handler;
}

static int onStack(int s) {
	struct sigaction a;
	return sigaction(s, NULL, &a) == 0 && (a.sa_flags & SA_ONSTACK) != 0;
}
*/
import "C"

import "syscall"

// Replace installs a handler that only takes note of the signal.
func Replace(s syscall.Signal) bool { return C.replace(C.int(s)) == 0 }

// Replaced tells whether the handler of Replace is installed.
func Replaced(s syscall.Signal) bool { return C.isForeign(C.int(s)) != 0 }

// OnStack tells whether a signal's handler runs on the stack for signals, as
// Go's must.
func OnStack(s syscall.Signal) bool { return C.onStack(C.int(s)) != 0 }

// Caught returns the last signal that the handler got.
func Caught() syscall.Signal { return syscall.Signal(C.lastCaught()) }
