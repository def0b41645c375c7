// Stand-in for libcudart: one device, whose memory is the host's. Enough for
// ONNX Runtime to load its CUDA provider, to place a model's nodes and to build
// their kernels; nothing runs.
#include <stdlib.h>
#include <string.h>

struct cudaDeviceProp {
  char name[256], uuid[16], luid[8];
  unsigned mask;
  size_t totalGlobalMem, sharedMemPerBlock;
  int regsPerBlock, warpSize;
  size_t memPitch;
  int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3];
  size_t totalConstMem;
  int major, minor;
  size_t textureAlignment, texturePitchAlignment;
  int multiProcessorCount;
  char rest[300];
};
struct cudaPointerAttributes { int type, device; void *onDevice, *onHost; };

static char handle[1 << 16];

int cudaGetDeviceCount(int *n) { *n = 1; return 0; }
int cudaGetDevice(int *n) { *n = 0; return 0; }
int cudaSetDevice(int n) { return n == 0 ? 0 : 101; }
int cudaDriverGetVersion(int *v) { *v = 13000; return 0; }
int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }
static int take(void **p, size_t n) { *p = calloc(1, n ? n : 1); return *p ? 0 : 2; }
int cudaMalloc(void **p, size_t n) { return take(p, n); }
int cudaMallocHost(void **p, size_t n) { return take(p, n); }
int cudaHostAlloc(void **p, size_t n, unsigned f) { return take(p, n); }
int cudaMallocFromPoolAsync(void **p, size_t n, void *pool, void *s) { return take(p, n); }
int cudaFree(void *p) { free(p); return 0; }
int cudaFreeHost(void *p) { free(p); return 0; }
int cudaFreeAsync(void *p, void *s) { free(p); return 0; }
int cudaMemcpy(void *d, const void *s, size_t n, int k) { memcpy(d, s, n); return 0; }
int cudaMemcpyAsync(void *d, const void *s, size_t n, int k, void *t) { memcpy(d, s, n); return 0; }
int cudaMemset(void *d, int v, size_t n) { memset(d, v, n); return 0; }
int cudaMemsetAsync(void *d, int v, size_t n, void *t) { memset(d, v, n); return 0; }
int cudaMemGetInfo(size_t *f, size_t *t) { *f = 70ul << 30; *t = 80ul << 30; return 0; }
int cudaStreamCreate(void **s) { *s = handle; return 0; }
int cudaStreamCreateWithFlags(void **s, unsigned f) { *s = handle; return 0; }
int cudaStreamIsCapturing(void *s, int *c) { *c = 0; return 0; }
int cudaEventCreate(void **s) { *s = handle; return 0; }
int cudaEventCreateWithFlags(void **s, unsigned f) { *s = handle; return 0; }
int cudaEventElapsedTime(float *t, void *a, void *b) { *t = 0; return 0; }
int cudaMemPoolCreate(void **s, void *p) { *s = handle; return 0; }
int cudaDeviceGetAttribute(int *v, int a, int d) {
  *v = a == 75 ? 9 : a == 76 ? 0 : a == 16 ? 132 : 1024; // capability, multiprocessors
  return 0;
}
int cudaGetDeviceProperties(struct cudaDeviceProp *p, int d) {
  memset(p, 0, sizeof *p);
  strcpy(p->name, "stand-in");
  p->major = 9;
  p->totalGlobalMem = 80ul << 30;
  p->multiProcessorCount = 132;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->sharedMemPerBlock = 48 << 10;
  p->maxGridSize[0] = 1 << 30;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  return 0;
}
const char *cudaGetErrorString(int e) { return "error of the stand-in"; }
const char *cudaGetErrorName(int e) { return "stand-in"; }
int cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p) {
  memset(a, 0, sizeof *a);
  a->type = 2;
  return 0;
}
int cudaGetDriverEntryPointByVersion(const char *n, void **f, unsigned v, unsigned long long x, int *q) {
  *f = 0;
  if (q) *q = 1;
  return 0;
}
void **__cudaRegisterFatBinary(void *p) { return (void **)handle; }
