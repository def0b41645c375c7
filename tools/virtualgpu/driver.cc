// Stand-in for the library of the driver: one device.
#include <cstddef>
#include <cstdlib>
#include <cstring>

extern "C" int cuInit(unsigned flags) { return 0; }
extern "C" int cuDriverGetVersion(int *v) { *v = 12080; return 0; }
extern "C" int cuDeviceGetCount(int *n) { *n = 1; return 0; }
extern "C" int cuDeviceGet(int *d, int n) { *d = n; return n == 0 ? 0 : 101; }
extern "C" int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "virtual device", n); return 0; }
extern "C" int cuDeviceTotalMem_v2(size_t *n, int d) {
  const char *mib = getenv("VIRTUALGPU_MEMORY_MIB"); // as in memory.cc
  *n = (mib ? strtoull(mib, nullptr, 10) : 4096ul) << 20;
  return 0;
}
extern "C" int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : 0; return 0; }
