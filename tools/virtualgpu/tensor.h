// Tensors as cuDNN describes them: element type, sizes, strides.
#pragma once
#include "device.h"
#include "numbers.h"
#include <cstdint>
#include <vector>

namespace virtualgpu __attribute__((visibility("hidden"))) {

using Sizes = std::vector<int64_t>;

inline int64_t count(const Sizes &s) {
  int64_t n = 1;
  for (int64_t d : s) n *= d;
  return n;
}

// packed gives the strides of a dense tensor whose last axis is the innermost.
inline Sizes packed(const Sizes &sizes) {
  Sizes strides(sizes.size());
  int64_t n = 1;
  for (size_t i = sizes.size(); i-- > 0; n *= sizes[i]) strides[i] = n;
  return strides;
}

// channelsLast gives the strides of a dense tensor whose axis 1 is the innermost.
inline Sizes channelsLast(const Sizes &sizes) {
  Sizes strides(sizes.size());
  int64_t n = sizes.size() > 1 ? sizes[1] : 1;
  if (sizes.size() > 1) strides[1] = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (i == 1) continue;
    strides[i] = n;
    n *= sizes[i];
  }
  return strides;
}

struct Tensor {
  Type type = Type::unknown;
  Sizes sizes, strides;
  int64_t elements() const { return count(sizes); }
};

// broadcast gives the strides that repeat t over the given sizes; empty where
// an axis has neither that size nor 1.
inline Sizes broadcast(const Tensor &t, const Sizes &sizes) {
  if (t.sizes.size() != sizes.size()) return {};
  Sizes strides = t.strides;
  for (size_t i = 0; i < sizes.size(); i++) {
    if (t.sizes[i] == 1) strides[i] = 0;
    else if (t.sizes[i] != sizes[i]) return {};
  }
  return strides;
}

// extent is the number of bytes from a tensor's first element to its last.
inline size_t extent(const Tensor &t) {
  int64_t last = 0;
  for (size_t i = 0; i < t.sizes.size(); i++) last += (t.sizes[i] - 1) * t.strides[i];
  return size_t(last + 1) * sizeOf(t.type);
}

// Dense is a tensor's elements in order as T: the tensor's own memory where it
// holds just that, else a copy.
template <class T> struct Dense {
  std::vector<T> copy;
  const T *data = nullptr;
};

// reach gives the host's address of a tensor in the device's memory.
template <class P> P *reach(const Tensor &t, P *memory) { return reach(memory, extent(t)); }

// dense reads a tensor of a type that is computed with.
template <class T> Dense<T> dense(const Tensor &t, const void *memory);

// blend writes alpha·values + beta·what was there; with beta 0 it does not
// read what was there, which may be anything.
template <class T> void blend(const Tensor &t, void *memory, const T *values, double alpha, double beta);

} // namespace virtualgpu
