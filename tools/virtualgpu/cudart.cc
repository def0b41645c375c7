// Stand-in for libcudart: one device, see memory.cc and warp.cc. Everything is
// done when the call returns, so streams and events have nothing to wait for.
//
// VIRTUALGPU_REPORT names a file for a table of what the program did: launches
// and copies by kind, with seconds. VIRTUALGPU_TRACE=1 prints each.
// VIRTUALGPU_NUMERICS=0 leaves the kernels out: what the host does can then be
// watched at the size of a real run.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <algorithm>
#include <mutex>

#include "fatbinary.h"
#include "parallel.h"
#include "ptx.h"

namespace {

struct State;
State &state();

enum Status { success = 0, invalid_value = 1, out_of_memory = 2, invalid_device = 101, launch_failure = 719, not_supported = 801, illegal_address = 700 };

struct Binary {
  const void *fat;
  std::unique_ptr<ptx::Module> module;
  ptx::Module &get() {
    if (!module) module = std::make_unique<ptx::Module>(ptx_of(fat));
    return *module;
  }
};
struct Entry {
  Binary *binary;
  std::string name;
};
struct Count {
  long n = 0;
  double bytes = 0, seconds = 0;
};

struct State {
  std::recursive_mutex lock;
  std::map<const void *, Entry> functions, variables;
  std::map<std::string, Count> counts;
  int error = success;

  // report writes the table anew: every second, and when a session ends.
  void report(bool at_end) {
    static const char *path = getenv("VIRTUALGPU_REPORT");
    static auto last = std::chrono::steady_clock::now();
    auto now = std::chrono::steady_clock::now();
    if (!path || (!at_end && now - last < std::chrono::seconds(1))) return;
    last = now;
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "what,calls,MiB,seconds\n");
    for (auto &[name, c] : counts) fprintf(f, "\"%s\",%ld,%.3f,%.3f\n", name.c_str(), c.n, c.bytes / (1 << 20), c.seconds);
    fprintf(f, "memory at its peak,,%.1f,\n", device::peak() / double(1 << 20));
    fclose(f);
  }
};
State &state() {
  static State *s = [] {
    atexit([] { state().report(true); });
    return new State; // outlives what is freed at the end
  }();
  return *s;
}

bool trace() {
  static const bool on = getenv("VIRTUALGPU_TRACE");
  return on;
}

int fail(int status) { return state().error = status; }

std::string readable(const std::string &mangled) {
  int status;
  char *p = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string s = p ? p : mangled;
  free(p);
  return s;
}

struct Timer {
  Count &count;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  Timer(const std::string &what, double bytes) : count(state().counts[what]) {
    count.n++;
    count.bytes += bytes;
  }
  ~Timer() {
    count.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    state().report(false);
  }
};

struct Configuration {
  ptx::Grid blocks, threads;
  size_t shared;
  void *stream;
};
thread_local std::vector<Configuration> configurations;

int run(const void *function, ptx::Grid blocks, ptx::Grid threads, void **arguments, size_t shared) {
  State &s = state();
  std::lock_guard<std::recursive_mutex> hold(s.lock);
  auto f = s.functions.find(function);
  if (f == s.functions.end()) return fail(98); // cudaErrorInvalidDeviceFunction
  if (trace())
    fprintf(stderr, "virtualgpu: %ux%ux%u blocks of %ux%ux%u: %s\n", blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z,
            readable(f->second.name).c_str());
  Timer t("kernel " + readable(f->second.name), 0);
  if (!virtualgpu::numerics()) return success;
  try {
    ptx::launch(f->second.binary->get().kernel(f->second.name), blocks, threads, arguments, shared);
  } catch (const std::exception &e) {
    fprintf(stderr, "virtualgpu: %s\n", e.what());
    return fail(launch_failure);
  }
  return success;
}

int copy(void *to, const void *from, size_t n) {
  State &s = state();
  std::lock_guard<std::recursive_mutex> hold(s.lock);
  bool a = device::owns(to), b = device::owns(from);
  const char *what = a ? b ? "copy within the device" : "copy to the device" : b ? "copy to the host" : "copy within the host";
  Timer t(what, n);
  if (trace()) fprintf(stderr, "virtualgpu: %s: %zu bytes\n", what, n);
  if (n == 0) return success;
  void *d = device::host(to, n, true), *o = device::host(from, n, true);
  if (!d || !o) {
    fprintf(stderr, "virtualgpu: a copy of %zu bytes that are not allocated\n", n);
    return fail(invalid_value);
  }
  // What decides the host's course, as a loop's condition, is small.
  if (virtualgpu::numerics() || n <= 4096) memmove(d, o, n);
  else if (!a) memset(d, 0, n);
  return success;
}

} // namespace

struct dim3 { unsigned x, y, z; };
#define API extern "C" __attribute__((visibility("default")))

API void **__cudaRegisterFatBinary(void *fat) { return reinterpret_cast<void **>(new Binary{fat, nullptr}); }
API void __cudaRegisterFatBinaryEnd(void **) {}
API void __cudaUnregisterFatBinary(void **) {}
API void __cudaRegisterFunction(void **binary, const char *host, char *, const char *name, int, void *, void *, void *, void *, int *) {
  state().functions[host] = {reinterpret_cast<Binary *>(binary), name};
}
API void __cudaRegisterVar(void **binary, char *host, char *, const char *name, int, size_t, int, int) {
  state().variables[host] = {reinterpret_cast<Binary *>(binary), name};
}
API void __cudaRegisterManagedVar(void **, void **, char *, const char *, int, size_t, int, int) {}
API char __cudaInitModule(void **) { return 1; }
API unsigned __cudaPushCallConfiguration(dim3 g, dim3 b, size_t shared, void *stream) {
  configurations.push_back({{g.x, g.y, g.z}, {b.x, b.y, b.z}, shared, stream});
  return 0;
}
API int __cudaPopCallConfiguration(dim3 *g, dim3 *b, size_t *shared, void **stream) {
  if (configurations.empty()) return fail(invalid_value);
  Configuration c = configurations.back();
  configurations.pop_back();
  *g = {c.blocks.x, c.blocks.y, c.blocks.z};
  *b = {c.threads.x, c.threads.y, c.threads.z};
  *shared = c.shared;
  *stream = c.stream;
  return success;
}
API int cudaLaunchKernel(const void *f, dim3 g, dim3 b, void **arguments, size_t shared, void *) {
  return run(f, {g.x, g.y, g.z}, {b.x, b.y, b.z}, arguments, shared);
}
API int __cudaLaunchKernel(const void *f, dim3 g, dim3 b, void **arguments, size_t shared, void *) {
  return run(f, {g.x, g.y, g.z}, {b.x, b.y, b.z}, arguments, shared);
}
// __cudaGetKernel and __cudaLaunchKernel are what programs of newer compilers call.
API int __cudaGetKernel(const void **kernel, const void *f) {
  *kernel = f;
  return success;
}
struct LaunchConfiguration { dim3 grid, block; size_t shared; void *stream, *attributes; unsigned count; };
API int cudaLaunchKernelExC(const LaunchConfiguration *c, const void *f, void **arguments) {
  return run(f, {c->grid.x, c->grid.y, c->grid.z}, {c->block.x, c->block.y, c->block.z}, arguments, c->shared);
}
API int cudaLaunchHostFunc(void *, void (*f)(void *), void *data) {
  f(data);
  return success;
}

struct FunctionAttributes {
  size_t shared, constant, local;
  int max_threads, registers, ptx_version, binary_version, cache_mode, max_dynamic_shared, carveout, cluster[4], rest[32];
};
API int cudaFuncGetAttributes(FunctionAttributes *a, const void *f) {
  State &s = state();
  std::lock_guard<std::recursive_mutex> hold(s.lock);
  // As much of the structure as every version has.
  a->shared = a->constant = a->local = 0;
  a->max_threads = 1024;
  a->registers = 32;
  a->ptx_version = a->binary_version = 90;
  a->cache_mode = 0;
  a->max_dynamic_shared = 48 << 10;
  a->carveout = -1;
  return s.functions.count(f) ? success : fail(98);
}
API int cudaFuncSetAttribute(const void *, int, int) { return success; }
API int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *, int block, size_t) {
  *n = std::max(1, 2048 / std::max(block, 1));
  return success;
}
API int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *, int block, size_t, unsigned) {
  *n = std::max(1, 2048 / std::max(block, 1));
  return success;
}

// Memory.
static int take(void **p, size_t n) {
  *p = device::allocate(n);
  return *p ? success : fail(out_of_memory);
}
API int cudaMalloc(void **p, size_t n) { return take(p, n); }
API int cudaMallocAsync(void **p, size_t n, void *) { return take(p, n); }
API int cudaMallocFromPoolAsync(void **p, size_t n, void *, void *) { return take(p, n); }
API int cudaMallocHost(void **p, size_t n) { return (*p = device::allocate_host(n)) ? success : fail(out_of_memory); }
API int cudaHostAlloc(void **p, size_t n, unsigned) { return (*p = device::allocate_host(n)) ? success : fail(out_of_memory); }
API int cudaFree(void *p) { return device::release(p) ? success : fail(invalid_value); }
API int cudaFreeAsync(void *p, void *) { return device::release(p) ? success : fail(invalid_value); }
API int cudaFreeHost(void *p) { return device::release_host(p) ? success : fail(invalid_value); }
API int cudaMemGetInfo(size_t *available, size_t *total) {
  *available = device::available();
  *total = device::total();
  return success;
}
API int cudaMemcpy(void *to, const void *from, size_t n, int) { return copy(to, from, n); }
API int cudaMemcpyAsync(void *to, const void *from, size_t n, int, void *) { return copy(to, from, n); }
API int cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int, void *) {
  for (size_t i = 0; i < height; i++)
    if (int s = copy(static_cast<char *>(to) + i * to_pitch, static_cast<const char *>(from) + i * from_pitch, width)) return s;
  return success;
}
static void *symbol(const void *s, size_t *size = nullptr) {
  auto v = state().variables.find(s);
  return v == state().variables.end() ? nullptr : reinterpret_cast<void *>(v->second.binary->get().variable(v->second.name, size));
}
API int cudaMemcpyFromSymbol(void *to, const void *s, size_t n, size_t offset, int) {
  void *p = symbol(s);
  return p ? copy(to, static_cast<char *>(p) + offset, n) : fail(13);
}
API int cudaMemcpyToSymbol(const void *s, const void *from, size_t n, size_t offset, int) {
  void *p = symbol(s);
  return p ? copy(static_cast<char *>(p) + offset, from, n) : fail(13);
}
API int cudaGetSymbolAddress(void **p, const void *s) { return (*p = symbol(s)) ? success : fail(13); }
static int fill(void *p, int v, size_t n) {
  Timer t("fill", n);
  if (n == 0) return success;
  void *h = device::host(p, n);
  if (!h) return fail(invalid_value);
  if (virtualgpu::numerics()) memset(h, v, n);
  return success;
}
API int cudaMemset(void *p, int v, size_t n) { return fill(p, v, n); }
API int cudaMemsetAsync(void *p, int v, size_t n, void *) { return fill(p, v, n); }
struct PointerAttributes { int type, device; const void *on_device, *on_host; };
API int cudaPointerGetAttributes(PointerAttributes *a, const void *p) {
  a->type = device::owns(p) ? 2 : device::host(p, 1) ? 1 : 0;
  a->device = 0;
  a->on_device = a->type ? p : nullptr;
  a->on_host = a->type == 2 ? nullptr : p;
  return success;
}

// The device.
API int cudaGetDeviceCount(int *n) {
  *n = 1;
  return success;
}
API int cudaGetDevice(int *n) {
  *n = 0;
  return success;
}
API int cudaSetDevice(int n) { return n == 0 ? success : fail(invalid_device); }
API int cudaDeviceSynchronize() { return state().error; }
API int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  *least = *greatest = 0;
  return success;
}
#ifndef VIRTUALGPU_CUDA
#define VIRTUALGPU_CUDA 12080
#endif
API int cudaDriverGetVersion(int *v) {
  *v = VIRTUALGPU_CUDA;
  return success;
}
API int cudaRuntimeGetVersion(int *v) {
  *v = VIRTUALGPU_CUDA;
  return success;
}
API int cudaDeviceGetAttribute(int *v, int a, int device) {
  if (device != 0) return fail(invalid_device);
  switch (a) {
  case 75: *v = 9; break;  // compute capability
  case 76: *v = 0; break;
  case 16: *v = 132; break; // multiprocessors
  case 10: *v = 32; break;  // threads of a warp
  case 39: *v = 2048; break; // threads of a multiprocessor
  case 8: case 97: case 81: *v = 48 << 10; break; // shared memory
  case 115: *v = 0; break; // no memory pools
  default: *v = 1024;
  }
  return success;
}
struct Properties {
  char name[256], uuid[16], luid[8];
  unsigned mask;
  size_t memory, shared_per_block;
  int registers_per_block, warp;
  size_t pitch;
  int max_threads, max_block[3], max_grid[3];
#if VIRTUALGPU_CUDA < 13000
  int clock_rate;
#endif
  size_t constants;
  int major, minor;
  size_t texture_alignment, pitch_alignment;
#if VIRTUALGPU_CUDA < 13000
  int overlap;
#endif
  int multiprocessors;
};
static int properties(Properties *p, int device) {
  if (device != 0) return fail(invalid_device);
  strcpy(p->name, "virtual device");
  p->memory = device::total();
  p->shared_per_block = 48 << 10;
  p->registers_per_block = 65536;
  p->warp = 32;
  p->max_threads = 1024;
  p->max_block[0] = p->max_block[1] = 1024;
  p->max_block[2] = 64;
  p->max_grid[0] = INT32_MAX;
  p->max_grid[1] = p->max_grid[2] = 65535;
  p->constants = 64 << 10;
  p->major = 9;
  p->minor = 0;
  p->multiprocessors = 132;
  return success;
}
// The structure is longer in every version; what is not set stays zero.
API int cudaGetDeviceProperties_v2(void *p, int device) {
  memset(p, 0, 1000);
  return properties(static_cast<Properties *>(p), device);
}
API int cudaGetDeviceProperties(void *p, int device) {
  memset(p, 0, 700);
  return properties(static_cast<Properties *>(p), device);
}

// Streams, events, graphs, pools.
static char token[64];
static int make(void **p) {
  *p = token;
  return success;
}
API int cudaStreamCreate(void **s) { return make(s); }
API int cudaStreamCreateWithFlags(void **s, unsigned) { return make(s); }
API int cudaStreamCreateWithPriority(void **s, unsigned, int) { return make(s); }
API int cudaStreamDestroy(void *) {
  state().report(true); // a session ends: a program in Go tells nobody when it does
  return success;
}
API int cudaStreamSynchronize(void *) { return state().error; }
API int cudaStreamQuery(void *) { return success; }
API int cudaStreamWaitEvent(void *, void *, unsigned) { return success; }
API int cudaStreamIsCapturing(void *, int *c) {
  *c = 0;
  return success;
}
API int cudaEventCreate(void **e) { return make(e); }
API int cudaEventCreateWithFlags(void **e, unsigned) { return make(e); }
API int cudaEventDestroy(void *) { return success; }
API int cudaEventRecord(void *, void *) { return success; }
API int cudaEventQuery(void *) { return success; }
API int cudaEventSynchronize(void *) { return success; }
API int cudaEventElapsedTime(float *t, void *, void *) {
  *t = 0.01f;
  return success;
}
API int cudaMemPoolCreate(void **p, void *) { return make(p); }
API int cudaMemPoolDestroy(void *) { return success; }
API int cudaMemPoolSetAttribute(void *, int, void *) { return success; }
API int cudaMemPoolGetAttribute(void *, int, void *v) {
  *static_cast<uint64_t *>(v) = 0;
  return success;
}
API int cudaMemPoolTrimTo(void *, size_t) { return success; }
API int cudaGetDriverEntryPointByVersion(const char *, void **f, unsigned, unsigned long long, int *found) {
  *f = nullptr;
  if (found) *found = 1;
  return success;
}

// Errors: the last one stays until it is asked for; a failed kernel's for good.
API int cudaGetLastError() {
  int e = state().error;
  if (e != launch_failure) state().error = success;
  return e;
}
API int cudaPeekAtLastError() { return state().error; }
API const char *cudaGetErrorName(int e) {
  switch (e) {
  case success: return "cudaSuccess";
  case invalid_value: return "cudaErrorInvalidValue";
  case out_of_memory: return "cudaErrorMemoryAllocation";
  case invalid_device: return "cudaErrorInvalidDevice";
  case launch_failure: return "cudaErrorLaunchFailure";
  default: return "cudaErrorUnknown";
  }
}
API const char *cudaGetErrorString(int e) {
  switch (e) {
  case success: return "no error";
  case invalid_value: return "invalid argument";
  case out_of_memory: return "out of memory";
  case invalid_device: return "invalid device ordinal";
  case launch_failure: return "unspecified launch failure";
  default: return "an error of the virtual device";
  }
}
