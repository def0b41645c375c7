//go:build linux || darwin

#define _GNU_SOURCE
#include "libjpeg.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct ortrain_libjpeg {
	int abi;
	char *path;
	void *(*std_error)(void *);
	void (*create)(void *, int version, size_t size);
	void (*destroy)(void *);
	int (*read_header)(void *, int require_image);
	int (*start)(void *);
	unsigned (*read)(void *, uint8_t **rows, unsigned n);
	unsigned (*skip)(void *, unsigned n);
	void (*crop)(void *, unsigned *x, unsigned *width);
	void *resync;
};

#define ABI 62
#include "libjpeg_abi.h"
#define ABI 80
#include "libjpeg_abi.h"

// Tells whether the library accepts a structure of an interface version. The
// larger structure serves for both: they begin alike.
static void refuse(struct decompress_80 *c) { longjmp(((struct decoder_80 *)c)->escape, 1); }

static int accepts(struct ortrain_libjpeg *lib, int abi, size_t size) {
	struct decoder_80 d;
	memset(&d, 0, sizeof d);
	d.c.err = lib->std_error(&d.err);
	d.err.error_exit = refuse;
	if (setjmp(d.escape)) return 0;
	lib->create(&d.c, abi, size);
	lib->destroy(&d.c);
	return 1;
}

struct ortrain_libjpeg *ortrain_libjpeg_open(const char *name) {
	void *h = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!h) return NULL;
	struct ortrain_libjpeg *lib = calloc(1, sizeof *lib);
	if (!lib) return NULL;
	*(void **)&lib->std_error = dlsym(h, "jpeg_std_error");
	*(void **)&lib->create = dlsym(h, "jpeg_CreateDecompress");
	*(void **)&lib->destroy = dlsym(h, "jpeg_destroy_decompress");
	*(void **)&lib->read_header = dlsym(h, "jpeg_read_header");
	*(void **)&lib->start = dlsym(h, "jpeg_start_decompress");
	*(void **)&lib->read = dlsym(h, "jpeg_read_scanlines");
	*(void **)&lib->skip = dlsym(h, "jpeg_skip_scanlines");
	*(void **)&lib->crop = dlsym(h, "jpeg_crop_scanline");
	lib->resync = dlsym(h, "jpeg_resync_to_restart");
	if (lib->std_error && lib->create && lib->destroy && lib->read_header && lib->start && lib->read && lib->skip &&
		lib->crop && lib->resync) {
		if (accepts(lib, 62, sizeof(struct decompress_62)))
			lib->abi = 62;
		else if (accepts(lib, 80, sizeof(struct decompress_80)))
			lib->abi = 80;
	}
	if (!lib->abi) {
		free(lib);
		dlclose(h);
		return NULL;
	}
	Dl_info info;
	lib->path = strdup(dladdr(lib->resync, &info) && info.dli_fname ? info.dli_fname : name);
	return lib;
}

int ortrain_libjpeg_abi(const struct ortrain_libjpeg *lib) { return lib->abi; }

const char *ortrain_libjpeg_path(const struct ortrain_libjpeg *lib) { return lib->path; }

char *ortrain_libjpeg_decode(const struct ortrain_libjpeg *lib, const uint8_t *file, size_t size,
	int width, int height, int channels, int denominator, int x, int y, int w, int h, uint8_t *out) {
	if (lib->abi == 62) return decode_62(lib, file, size, width, height, channels, denominator, x, y, w, h, out);
	return decode_80(lib, file, size, width, height, channels, denominator, x, y, w, h, out);
}
