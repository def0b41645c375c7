// Normalisation: of batches, and of neighbouring channels.
#include "cudnn_types.h"
#include "parallel.h"

using namespace virtualgpu;

namespace {

enum Mode { perActivation = 0, spatial = 1, spatialPersistent = 2 };

// parameterSizes are those of a batch norm's scale for x: 1×C×1×1 or 1×C×H×W.
Sizes parameterSizes(const Tensor &x, int mode) {
  Sizes s = x.sizes;
  s[0] = 1;
  if (mode != perActivation)
    for (size_t i = 2; i < s.size(); i++) s[i] = 1;
  return s;
}

Status check(const char *name, int mode, const Tensor &x, const Tensor &y, const Tensor &parameters) {
  if (mode < perActivation || mode > spatialPersistent) return fail(badParam, "%s: mode %d", name, mode);
  if (!isReal(x.type) || x.type != y.type || x.sizes != y.sizes || x.sizes.size() < 4 || x.sizes.size() > 5)
    return fail(badParam, "%s: needs two tensors of the same type and sizes with 4 or 5 axes", name);
  if (parameters.sizes != parameterSizes(x, mode)) return fail(badParam, "%s: the scale's sizes do not fit", name);
  if (parameters.type != (x.type == Type::f64 ? Type::f64 : Type::f32))
    return fail(notSupported, "%s: a scale of data type %d beside %d", name, numberOf(parameters.type), numberOf(x.type));
  return success;
}

// eachGroup calls f(group, members), members(each) calls each with the indices of the
// group's elements in a dense tensor: those of a channel, or of one pixel of one.
template <class F> void eachGroup(const Tensor &x, int mode, F f) {
  int64_t n = x.sizes[0], inner = count(x.sizes) / n, pixels = inner / x.sizes[1];
  int64_t groups = mode == perActivation ? inner : x.sizes[1], run = mode == perActivation ? 1 : pixels;
  parallel(groups, double(n) * double(inner), [&](int64_t g) {
    f(g, [&](auto each) {
      for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < run; p++) each(i * inner + g * run + p);
    });
  });
}

} // namespace

CUDNN_API int cudnnDeriveBNTensorDescriptor(Tensor *derived, const Tensor *x, int mode) {
  derived->type = x->type == Type::f64 ? Type::f64 : Type::f32;
  derived->sizes = parameterSizes(*x, mode);
  derived->strides = packed(derived->sizes);
  return success;
}

CUDNN_API int cudnnBatchNormalizationForwardInference(Handle *, int mode, const void *alpha, const void *beta, const Tensor *x,
                                                      const void *xm, const Tensor *y, void *ym, const Tensor *parameters,
                                                      const void *scaleMemory, const void *biasMemory, const void *meanMemory,
                                                      const void *varianceMemory, double epsilon) {
  Status s = check(__func__, mode, *x, *y, *parameters);
  if (s != success) return s;
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm)), gain = dense<T>(*parameters, reach(*parameters, scaleMemory)), bias = dense<T>(*parameters, reach(*parameters, biasMemory)),
         mean = dense<T>(*parameters, reach(*parameters, meanMemory)), variance = dense<T>(*parameters, reach(*parameters, varianceMemory));
    std::vector<T> made(size_t(x->elements()));
    eachGroup(*x, mode, [&](int64_t g, auto members) {
      T inverse = 1 / std::sqrt(variance.data[g] + T(epsilon));
      members([&](int64_t i) { made[size_t(i)] = gain.data[g] * (from.data[i] - mean.data[g]) * inverse + bias.data[g]; });
    });
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
  });
}

CUDNN_API int cudnnBatchNormalizationForwardTraining(Handle *, int mode, const void *alpha, const void *beta, const Tensor *x,
                                                     const void *xm, const Tensor *y, void *ym, const Tensor *parameters,
                                                     const void *scaleMemory, const void *biasMemory, double factor,
                                                     void *runningMean, void *runningVariance, double epsilon, void *savedMean,
                                                     void *savedInverse) {
  Status s = check(__func__, mode, *x, *y, *parameters);
  if (s != success) return s;
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm)), gain = dense<T>(*parameters, reach(*parameters, scaleMemory)), bias = dense<T>(*parameters, reach(*parameters, biasMemory));
    std::vector<T> made(size_t(x->elements()));
    size_t groups = size_t(parameters->elements());
    std::vector<T> means(groups), inverses(groups), unbiased(groups);
    eachGroup(*x, mode, [&](int64_t g, auto members) {
      double sum = 0, square = 0;
      int64_t n = 0;
      members([&](int64_t i) { sum += from.data[i], n++; });
      double mean = sum / double(n);
      members([&](int64_t i) { square += (from.data[i] - mean) * (from.data[i] - mean); });
      double variance = square / double(n), inverse = 1 / std::sqrt(variance + epsilon);
      members([&](int64_t i) { made[size_t(i)] = gain.data[g] * T((from.data[i] - mean) * inverse) + bias.data[g]; });
      means[size_t(g)] = T(mean), inverses[size_t(g)] = T(inverse);
      unbiased[size_t(g)] = T(n > 1 ? square / double(n - 1) : variance);
    });
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
    if (runningMean) blend(*parameters, reach(*parameters, runningMean), means.data(), factor, 1 - factor);
    if (runningVariance) blend(*parameters, reach(*parameters, runningVariance), unbiased.data(), factor, 1 - factor);
    if (savedMean) blend(*parameters, reach(*parameters, savedMean), means.data(), 1, 0);
    if (savedInverse) blend(*parameters, reach(*parameters, savedInverse), inverses.data(), 1, 0);
  });
}

CUDNN_API int cudnnLRNCrossChannelForward(Handle *, const LocalResponseNorm *l, int mode, const void *alpha, const Tensor *x,
                                          const void *xm, const void *beta, const Tensor *y, void *ym) {
  if (mode != 0) return fail(notSupported, "%s: mode %d", __func__, mode);
  if (!isReal(x->type) || x->type != y->type || x->sizes != y->sizes || x->sizes.size() < 4)
    return fail(badParam, "%s: needs two tensors of the same type and sizes with at least 4 axes", __func__);
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm));
    std::vector<T> made(size_t(x->elements()));
    int64_t channels = x->sizes[1], pixels = count(x->sizes) / x->sizes[0] / channels, behind = (l->n - 1) / 2, ahead = l->n - behind - 1;
    parallel(x->sizes[0], double(made.size()) * l->n, [&](int64_t image) {
      for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++) {
          int64_t base = image * channels * pixels + p;
          T sum = 0;
          for (int64_t o = std::max<int64_t>(0, c - behind); o <= std::min(channels - 1, c + ahead); o++)
            sum += from.data[base + o * pixels] * from.data[base + o * pixels];
          int64_t at = base + c * pixels;
          made[size_t(at)] = from.data[at] / std::pow(T(l->k) + T(l->alpha) / T(l->n) * sum, T(l->beta));
        }
    });
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
  });
}
