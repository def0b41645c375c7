// Tensors for tests of the virtual device's libraries, read and written element
// by element as double. Halves are the compiler's own, not the libraries'.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

enum Kind { kFloat = 0, kDouble = 1, kHalf = 2, kBFloat16 = 9 }; // as cuDNN numbers them

inline size_t bytesOf(int kind) { return kind == kDouble ? 8 : kind == kFloat ? 4 : 2; }

// precision is the distance of two neighbours, relative to them.
inline double precision(int kind) { return kind == kDouble ? 1e-13 : kind == kFloat ? 1e-5 : kind == kHalf ? 1e-3 : 8e-3; }

inline double get(int kind, const void *p, int64_t i) {
  switch (kind) {
  case kFloat: return ((const float *)p)[i];
  case kDouble: return ((const double *)p)[i];
  case kHalf: return double(((const _Float16 *)p)[i]);
  default: {
    uint32_t u = uint32_t(((const uint16_t *)p)[i]) << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
  }
  }
}

inline void put(int kind, void *p, int64_t i, double v) {
  switch (kind) {
  case kFloat: ((float *)p)[i] = float(v); return;
  case kDouble: ((double *)p)[i] = v; return;
  case kHalf: ((_Float16 *)p)[i] = _Float16(v); return;
  default: {
    float f = float(v);
    uint32_t u;
    memcpy(&u, &f, 4);
    ((uint16_t *)p)[i] = uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
  }
}

inline std::mt19937 &generator() {
  static std::mt19937 r(7);
  return r;
}
inline int pick(int from, int to) { return std::uniform_int_distribution<int>(from, to)(generator()); }
inline int pickOf(std::vector<int> v) { return v[size_t(pick(0, int(v.size()) - 1))]; }
inline double normal() { return std::normal_distribution<double>()(generator()); }

// Array is a tensor with gaps or axes in any order; what is not an element holds
// a number that must stay.
struct Array {
  int kind;
  std::vector<int> sizes, strides;
  std::vector<char> memory;

  Array(int kind, std::vector<int> sizes, int layout = 0) : kind(kind), sizes(sizes), strides(sizes.size()) {
    std::vector<size_t> order; // innermost first
    for (size_t i = sizes.size(); i-- > 0;) order.push_back(i);
    if (layout == 1) { // channels last
      order.pop_back(), order.pop_back();
      order.insert(order.begin(), 1);
      order.push_back(0);
    }
    int n = layout == 2 ? 2 : 1; // every second element only
    for (size_t a : order) {
      strides[a] = n;
      n *= sizes[a] + (layout == 2 ? 1 : 0);
    }
    int last = 0;
    for (size_t i = 0; i < sizes.size(); i++) last += (sizes[i] - 1) * strides[i];
    memory.resize(size_t(last + 1) * bytesOf(kind));
    for (int64_t i = 0; i <= last; i++) put(kind, memory.data(), i, 17);
  }
  static Array random(int kind, std::vector<int> sizes, int layout = 0) {
    Array a(kind, sizes, layout);
    a.each([&](const std::vector<int> &at) { a.set(at, normal()); });
    return a;
  }

  int64_t offset(const std::vector<int> &at) const {
    int64_t o = 0;
    for (size_t i = 0; i < at.size(); i++) o += int64_t(at[i]) * strides[i];
    return o;
  }
  double operator()(const std::vector<int> &at) const { return get(kind, memory.data(), offset(at)); }
  void set(const std::vector<int> &at, double v) { put(kind, memory.data(), offset(at), v); }
  void *data() { return memory.data(); }
  void each(std::function<void(const std::vector<int> &)> f) const {
    std::vector<int> at(sizes.size());
    std::function<void(size_t)> go = [&](size_t axis) {
      if (axis == sizes.size()) return f(at);
      for (at[axis] = 0; at[axis] < sizes[axis]; at[axis]++) go(axis + 1);
    };
    go(0);
  }
};

inline int failures = 0;

#define EXPECT(condition, ...)                                                                                         \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      failures++;                                                                                                      \
      printf("%s:%d: ", __FILE__, __LINE__);                                                                           \
      printf(__VA_ARGS__);                                                                                             \
      printf("\n");                                                                                                    \
    }                                                                                                                  \
  } while (0)

// expect compares an array with what want gives for each index; size is that of
// the summands, by which the error is judged. Gaps must be as they were.
inline void expect(const std::string &what, const Array &got, std::function<double(const std::vector<int> &, double &size)> want) {
  Array rest = got;
  double worst = 0;
  got.each([&](const std::vector<int> &at) {
    double size = 0, w = want(at, size), g = got(at), error = std::abs(w - g) / (precision(got.kind) * std::max(1e-3, size));
    if (g == w) error = 0;
    worst = std::max(worst, error == error ? error : 1e30);
    rest.set(at, 17);
  });
  EXPECT(worst <= 1, "%s: the error is %g times what it may be", what.c_str(), worst);
  for (size_t i = 0; i < rest.memory.size() / bytesOf(got.kind); i++)
    if (get(got.kind, rest.memory.data(), int64_t(i)) != 17) {
      EXPECT(false, "%s: wrote beside the elements", what.c_str());
      return;
    }
}
