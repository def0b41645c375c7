#include <stddef.h>
#include <stdint.h>

// The functions of an opened libjpeg-turbo.
struct ortrain_libjpeg;

// Opens the library of that file name; NULL if there is none, or if it is no
// libjpeg-turbo that can cut while it decodes.
struct ortrain_libjpeg *ortrain_libjpeg_open(const char *name);

// The version of the library's binary interface: 62 or 80.
int ortrain_libjpeg_abi(const struct ortrain_libjpeg *lib);

// The file that the library was loaded from, or its name.
const char *ortrain_libjpeg_path(const struct ortrain_libjpeg *lib);

// Decodes a window; see decode in libjpeg_abi.h.
char *ortrain_libjpeg_decode(const struct ortrain_libjpeg *lib, const uint8_t *file, size_t size,
	int width, int height, int channels, int denominator, int x, int y, int w, int h, uint8_t *out);
