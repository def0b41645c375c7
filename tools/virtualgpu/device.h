// The way from an address of the virtual device's memory to one that the host
// may use. libcudart knows it; without it, in tests, both are the same.
#pragma once
#include <cstddef>
#include <cstdio>

extern "C" {
void *virtualgpu_host(const void *) __attribute__((weak));
int cudaPointerGetAttributes(void *attributes, const void *) __attribute__((weak));
}

namespace virtualgpu __attribute__((visibility("hidden"))) {

// Fault is thrown for an address that a device could not use.
struct Fault {};

// reach gives the host's address of bytes of device memory, all of which must
// be allocated.
template <class T> T *reach(T *p, size_t bytes) {
  if (!bytes) return p;
  const char *first = (const char *)p, *last = first + bytes - 1;
  if (!virtualgpu_host) return p;
  auto *begin = (char *)virtualgpu_host(first), *end = (char *)virtualgpu_host(last);
  int attributes[8] = {}; // cudaPointerAttributes: the first number is the kind of memory, 0 what no device reaches
  bool known = !cudaPointerGetAttributes || (cudaPointerGetAttributes(attributes, p), attributes[0] != 0);
  if (begin && known && end == begin + (last - first)) return (T *)begin;
  fprintf(stderr, "virtualgpu: a library's function is to use %zu bytes at %p, which are not the device's\n", bytes, (const void *)p);
  throw Fault();
}

} // namespace virtualgpu
