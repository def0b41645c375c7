// The part of ONNX Runtime's C interface that the Go binding does not wrap.
// The library's table of functions only ever grows at its end, so that places
// in it hold for every release from the oldest supported one on, and no header
// of the library is needed.
#ifndef ORTRAIN_ORTAPI_H
#define ORTRAIN_ORTAPI_H

#include <stdint.h>
#include <stdlib.h>

// The head of OrtApiBase: these two functions have kept their place in every
// release.
typedef struct {
	const void *(*GetApi)(uint32_t version);
	const char *(*GetVersionString)(void);
} ortApiBase;

// Places in the OrtApi table.
enum {
	ortGetErrorMessage = 2,
	ortReleaseStatus = 93,
	ortGetAvailableProviders = 125,
	ortReleaseAvailableProviders = 126,
	ortAddRunConfigEntry = 165,
};

// ortBase calls the library's OrtGetApiBase.
static inline const ortApiBase *ortBase(void *getApiBase) {
	return ((const ortApiBase *(*)(void))getApiBase)();
}

// ortTable returns the OrtApi table of version 24, the oldest that is
// supported; NULL if the library does not have it.
static inline void *const *ortTable(void *getApiBase) {
	const ortApiBase *base = ortBase(getApiBase);
	return base ? (void *const *)base->GetApi(24) : NULL;
}

static inline void ortRelease(void *const *api, void *status) {
	if (status != NULL) ((void (*)(void *))api[ortReleaseStatus])(status);
}

#endif
