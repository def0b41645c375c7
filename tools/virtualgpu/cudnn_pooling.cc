// Pooling: the greatest or the average value in a window.
#include "cudnn_types.h"
#include "parallel.h"

using namespace virtualgpu;

namespace {

enum Mode { greatest = 0, averageOfAll = 1, averageOfInside = 2, greatestDeterministic = 3 };

struct Window { int64_t input[3], output[3], size[3], pad[3], stride[3]; };

// pool reduces one channel of an image.
template <class T> void pool(const Pooling &p, const Window &w, const T *x, T *y) {
  int64_t all = w.size[0] * w.size[1] * w.size[2];
  for (int64_t d = 0; d < w.output[0]; d++)
    for (int64_t h = 0; h < w.output[1]; h++)
      for (int64_t v = 0; v < w.output[2]; v++) {
        int64_t at[3] = {d, h, v}, first[3], last[3];
        for (int i = 0; i < 3; i++) {
          int64_t from = at[i] * w.stride[i] - w.pad[i];
          first[i] = std::max<int64_t>(from, 0), last[i] = std::min(from + w.size[i], w.input[i]);
        }
        T most = -INFINITY, sum = 0;
        int64_t inside = 0;
        bool nan = false;
        for (int64_t a = first[0]; a < last[0]; a++)
          for (int64_t b = first[1]; b < last[1]; b++)
            for (int64_t c = first[2]; c < last[2]; c++, inside++) {
              T value = x[(a * w.input[1] + b) * w.input[2] + c];
              nan = nan || value != value;
              most = value > most ? value : most;
              sum += value;
            }
        if (p.mode == averageOfAll) *y++ = sum / T(all);
        else if (p.mode == averageOfInside) *y++ = sum / T(inside);
        else *y++ = nan && p.nan ? T(NAN) : most;
      }
}

} // namespace

CUDNN_API int cudnnPoolingForward(Handle *, const Pooling *p, const void *alpha, const Tensor *x, const void *xm, const void *beta,
                                  const Tensor *y, void *ym) {
  size_t rank = p->window.size();
  if (!isReal(x->type) || x->type != y->type) return fail(notSupported, "%s: data types %d and %d", __func__, numberOf(x->type), numberOf(y->type));
  if (x->sizes.size() != rank + 2 || y->sizes.size() != rank + 2 || x->sizes[0] != y->sizes[0] || x->sizes[1] != y->sizes[1])
    return fail(badParam, "%s: tensors of %zu and %zu axes, a window of %zu", __func__, x->sizes.size(), y->sizes.size(), rank);
  Window w = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  for (size_t i = 0, a = 3 - rank; i < rank; i++, a++) {
    w.input[a] = x->sizes[i + 2], w.output[a] = y->sizes[i + 2];
    w.size[a] = p->window[i], w.pad[a] = p->pads[i], w.stride[a] = p->strides[i];
    // cuDNN does not compare sizes along these axes. Windows may overhang the
    // end, as with ONNX's ceil_mode, but each must see some of the image.
    if (w.pad[a] >= w.size[a] || w.stride[a] < 1 || (w.output[a] - 1) * w.stride[a] - w.pad[a] >= w.input[a])
      return fail(badParam, "%s: axis %zu: a window of %lld sees nothing of input %lld padded by %lld, stride %lld, output %lld", __func__, i,
                  (long long)w.size[a], (long long)w.input[a], (long long)w.pad[a], (long long)w.stride[a], (long long)w.output[a]);
  }
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm));
    std::vector<T> made(size_t(y->elements()));
    int64_t maps = x->sizes[0] * x->sizes[1], in = w.input[0] * w.input[1] * w.input[2], out = w.output[0] * w.output[1] * w.output[2];
    parallel(maps, double(made.size()) * double(w.size[0] * w.size[1] * w.size[2]),
             [&](int64_t i) { pool(*p, w, from.data + i * in, made.data() + i * out); });
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
  });
}
