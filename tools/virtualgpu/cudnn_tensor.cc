// Reading and writing tensors of any layout and element type.
#include "parallel.h"
#include "tensor.h"

namespace virtualgpu {

namespace {

// eachRow calls f(offset, step, from, n) for every row along a tensor's last
// axis: n elements, step apart from offset on in its memory, next to each other
// from the from-th on in a dense copy. Rows run in parallel.
template <class F> void eachRow(const Tensor &t, F f) {
  size_t rank = t.sizes.size();
  int64_t n = t.sizes[rank - 1], rows = t.elements() / n, together = std::max<int64_t>(1, 65536 / n);
  parallel((rows + together - 1) / together, double(t.elements()), [&](int64_t part) {
    for (int64_t row = part * together; row < std::min(rows, (part + 1) * together); row++) {
      int64_t offset = 0, rest = row;
      for (size_t i = rank - 1; i-- > 0; rest /= t.sizes[i]) offset += rest % t.sizes[i] * t.strides[i];
      f(offset, t.strides[rank - 1], row * n, n);
    }
  });
}

} // namespace

template <class T> Dense<T> dense(const Tensor &t, const void *memory) {
  Dense<T> d;
  if (t.type == (sizeof(T) == 8 ? Type::f64 : Type::f32) && t.strides == packed(t.sizes)) {
    d.data = (const T *)memory;
    return d;
  }
  d.copy.resize(size_t(t.elements()));
  d.data = d.copy.data();
  withType(t.type, [&](auto *tag) {
    auto *elements = (decltype(tag))memory;
    eachRow(t, [&](int64_t offset, int64_t step, int64_t from, int64_t n) {
      for (int64_t i = 0; i < n; i++) d.copy[size_t(from + i)] = read<T>(elements + offset + i * step);
    });
  });
  return d;
}

template <class T> void blend(const Tensor &t, void *memory, const T *values, double alpha, double beta) {
  withType(t.type, [&](auto *tag) {
    auto *elements = (decltype(tag))memory;
    eachRow(t, [&](int64_t offset, int64_t step, int64_t from, int64_t n) {
      for (int64_t i = 0; i < n; i++) {
        auto *to = elements + offset + i * step;
        T v = T(alpha) * values[from + i];
        write<T>(to, beta == 0 ? v : v + T(beta) * read<T>(to));
      }
    });
  });
}

template Dense<float> dense<float>(const Tensor &, const void *);
template Dense<double> dense<double>(const Tensor &, const void *);
template void blend<float>(const Tensor &, void *, const float *, double, double);
template void blend<double>(const Tensor &, void *, const double *, double, double);

} // namespace virtualgpu
