// Tensors as cuDNN describes them: element type, sizes, strides.
#pragma once
#include "numbers.h"
#include "parallel.h"
#include <cstdint>
#include <numeric>
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

// eachRow calls f(offsets, n, steps) for every row along the last axis: one
// offset and one step for each of the strides given. Rows run in parallel.
template <size_t N, class F> void eachRow(const Sizes &sizes, const Sizes (&strides)[N], F f) {
  size_t rank = sizes.size();
  if (rank == 0 || count(sizes) == 0) return;
  int64_t inner = sizes[rank - 1], rows = count(sizes) / inner, perPart = std::max<int64_t>(1, 65536 / inner);
  struct Values { int64_t of[N]; };
  parallel((rows + perPart - 1) / perPart, double(rows) * double(inner), [&](int64_t part) {
    for (int64_t row = part * perPart; row < std::min(rows, (part + 1) * perPart); row++) {
      Values offsets{}, steps{};
      int64_t rest = row;
      for (size_t i = rank - 1; i-- > 0; rest /= sizes[i])
        for (size_t s = 0; s < N; s++) offsets.of[s] += rest % sizes[i] * strides[s][i];
      for (size_t s = 0; s < N; s++) steps.of[s] = strides[s][rank - 1];
      f(offsets.of, inner, steps.of);
    }
  });
}

// Dense is a tensor's elements in order as T: the tensor's own memory where it
// holds just that, else a copy.
template <class T> struct Dense {
  std::vector<T> copy;
  const T *data = nullptr;
};

template <class T> Dense<T> dense(const Tensor &t, const void *memory) {
  Dense<T> d;
  if (t.type == (sizeof(T) == 8 ? Type::f64 : Type::f32) && t.strides == packed(t.sizes)) {
    d.data = (const T *)memory;
    return d;
  }
  d.copy.resize(size_t(t.elements()));
  Sizes own = packed(t.sizes);
  withType(t.type, [&](auto *tag) {
    auto *from = (decltype(tag))memory;
    T *to = d.copy.data();
    eachRow<2>(t.sizes, {t.strides, own}, [&](const int64_t *at, int64_t n, const int64_t *step) {
      for (int64_t i = 0; i < n; i++) to[at[1] + i] = read<T>(from + at[0] + i * step[0]);
    });
  });
  d.data = d.copy.data();
  return d;
}

// blend writes alpha·values + beta·what was there; with beta 0 it does not
// read what was there, which may be anything.
template <class T> void blend(const Tensor &t, void *memory, const T *values, double alpha, double beta) {
  Sizes own = packed(t.sizes);
  withType(t.type, [&](auto *tag) {
    auto *to = (decltype(tag))memory;
    eachRow<2>(t.sizes, {t.strides, own}, [&](const int64_t *at, int64_t n, const int64_t *step) {
      for (int64_t i = 0; i < n; i++) {
        auto *p = to + at[0] + i * step[0];
        T v = T(alpha) * values[at[1] + i];
        write<T>(p, beta == 0 ? v : v + T(beta) * read<T>(p));
      }
    });
  });
}

} // namespace virtualgpu
