package runtime

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void trim(void) { malloc_trim(0); }
#else
static void trim(void) {}
#endif
*/
import "C"

// returnFreed gives the C library's free memory back to the system.
//
// Sessions are made and freed by whatever thread a goroutine happens to run on,
// and the GNU C library has a heap for each of several threads: what a session
// leaves free in one of them, the next does not find in another. A process that
// makes many sessions, of which none leaks, grows by tens of megabytes all the
// same, until every heap has had its share.
func returnFreed() { C.trim() }
