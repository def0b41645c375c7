// Convolutions of tensors: their geometry from sizes and paddings, and the way
// from any layout and type to dense ones and back.
#include "convolution.h"
#include "cudnn_types.h"

namespace virtualgpu {

Status geometry(const char *name, const Tensor &x, const Tensor &w, const Tensor &y, const Sizes &before,
                const Sizes &after, const Sizes &stride, const Sizes &dilation, int64_t groups, Convolution &c) {
  size_t rank = before.size();
  if (rank < 1 || rank > 3) return fail(notSupported, "%s: a convolution along %zu axes", name, rank);
  if (x.sizes.size() != rank + 2 || w.sizes.size() != rank + 2 || y.sizes.size() != rank + 2 || after.size() != rank ||
      stride.size() != rank || dilation.size() != rank)
    return fail(badParam, "%s: tensors of %zu, %zu and %zu axes in a convolution along %zu", name, x.sizes.size(),
                w.sizes.size(), y.sizes.size(), rank);
  if (!isReal(x.type) || x.type != w.type || x.type != y.type)
    return fail(notSupported, "%s: data types %d, %d and %d together", name, numberOf(x.type), numberOf(w.type), numberOf(y.type));
  c.images = x.sizes[0], c.channels = x.sizes[1], c.filters = w.sizes[0], c.groups = groups;
  if (y.sizes[0] != c.images || y.sizes[1] != c.filters || groups < 1 || c.channels != w.sizes[1] * groups || c.filters % groups)
    return fail(badParam, "%s: %lld images of %lld channels, %lld filters of %lld channels in %lld groups, %lld results of %lld channels",
                name, (long long)c.images, (long long)c.channels, (long long)c.filters, (long long)w.sizes[1],
                (long long)groups, (long long)y.sizes[0], (long long)y.sizes[1]);
  for (size_t i = 0; i < 3; i++) {
    c.input[i] = c.kernel[i] = c.output[i] = c.stride[i] = c.dilation[i] = 1;
    c.before[i] = c.after[i] = 0;
  }
  for (size_t i = 0, a = 3 - rank; i < rank; i++, a++) {
    c.input[a] = x.sizes[i + 2], c.kernel[a] = w.sizes[i + 2], c.output[a] = y.sizes[i + 2];
    c.before[a] = before[i], c.after[a] = after[i], c.stride[a] = stride[i], c.dilation[a] = dilation[i];
    int64_t reach = c.input[a] + before[i] + after[i] - (c.kernel[a] - 1) * dilation[i] - 1;
    if (before[i] < 0 || after[i] < 0 || stride[i] < 1 || dilation[i] < 1 || reach < 0 || c.output[a] != reach / stride[i] + 1)
      return fail(badParam, "%s: axis %zu: input %lld padded by %lld and %lld, kernel %lld dilated by %lld, stride %lld do not give %lld",
                  name, i, (long long)c.input[a], (long long)before[i], (long long)after[i], (long long)c.kernel[a],
                  (long long)dilation[i], (long long)stride[i], (long long)c.output[a]);
  }
  return success;
}

Status convolve(Direction way, const Convolution &c, const Tensor &x, const void *xMemory, const Tensor &w,
              const void *wMemory, const Tensor &y, const void *yMemory, double alpha, double beta) {
  return computing(x.type, [&](auto zero) {
    using T = decltype(zero);
    const Tensor &to = way == forwards ? y : way == toData ? x : w;
    std::vector<T> result(size_t(to.elements()));
    auto factor = [&](const Tensor &t, const void *memory) {
      Dense<T> d = dense<T>(t, memory);
      if (!c.tf32 || t.type != Type::f32) return d;
      d.copy.assign(d.data, d.data + t.elements());
      for (T &v : d.copy) v = T(toTF32(float(v)));
      d.data = d.copy.data();
      return d;
    };
    if (way == forwards) {
      auto from = factor(x, xMemory), filters = factor(w, wMemory);
      forward(c, from.data, filters.data, result.data());
    } else if (way == toData) {
      auto grad = factor(y, yMemory), filters = factor(w, wMemory);
      backwardData(c, grad.data, filters.data, result.data());
    } else {
      auto from = factor(x, xMemory), grad = factor(y, yMemory);
      backwardFilter(c, from.data, grad.data, result.data());
    }
    blend(to, const_cast<void *>(way == forwards ? yMemory : way == toData ? xMemory : wMemory), result.data(), alpha, beta);
  });
}

size_t workspaceSize(Direction way, const Convolution &c) {
  return size_t(1024 + 256 * (c.taps() % 61) + 4096 * (c.positions() % 13) + 16 * int64_t(way));
}

} // namespace virtualgpu
