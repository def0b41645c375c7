// Stand-in for the NVIDIA driver's library: one device.
#include <stddef.h>
#include <string.h>

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *v) { *v = 13000; return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int n) { *d = n; return n == 0 ? 0 : 101; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "stand-in", n); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = 80ul << 30; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : 0; return 0; }
