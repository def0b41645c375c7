// What is done to the elements of tensors: sums of tensors, activations, softmax,
// reductions.
#include "cudnn_types.h"
#include "parallel.h"

using namespace virtualgpu;

CUDNN_API int cudnnAddTensor(Handle *, const void *alpha, const Tensor *a, const void *am, const void *beta, const Tensor *c, void *cm) {
  Sizes steps = broadcast(*a, c->sizes);
  if (!isReal(a->type) || a->type != c->type) return fail(notSupported, "%s: data types %d and %d", __func__, numberOf(a->type), numberOf(c->type));
  if (steps.empty()) return fail(badParam, "%s: an axis of A has neither 1 nor C's size", __func__);
  return computing(c->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>({a->type, c->sizes, steps}, reach(*a, am));
    blend(*c, reach(*c, cm), from.data, scale(alpha, c->type), scale(beta, c->type));
  });
}

CUDNN_API int cudnnActivationForward(Handle *, const Activation *a, const void *alpha, const Tensor *x, const void *xm, const void *beta,
                                     const Tensor *y, void *ym) {
  if (!isReal(x->type) || x->type != y->type || x->sizes != y->sizes)
    return fail(badParam, "%s: needs two tensors of the same type and sizes", __func__);
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm));
    std::vector<T> made(size_t(x->elements()));
    for (size_t i = 0; i < made.size(); i++) made[i] = activate<T>(*a, from.data[i]);
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
  });
}

CUDNN_API int cudnnSoftmaxForward(Handle *, int algorithm, int mode, const void *alpha, const Tensor *x, const void *xm,
                                  const void *beta, const Tensor *y, void *ym) {
  enum { fast, accurate, logarithm };
  if (algorithm < fast || algorithm > logarithm || mode < 0 || mode > 1) return fail(badParam, "%s: algorithm %d, mode %d", __func__, algorithm, mode);
  if (!isReal(x->type) || x->type != y->type || x->sizes != y->sizes || x->sizes.size() < 2)
    return fail(badParam, "%s: needs two tensors of the same type and sizes", __func__);
  return computing(x->type, [&](auto zero) {
    using T = decltype(zero);
    auto from = dense<T>(*x, reach(*x, xm));
    std::vector<T> made(size_t(x->elements()));
    // One softmax over all of an image, or one for each pixel over its channels.
    int64_t images = x->sizes[0], inner = count(x->sizes) / images, n = mode == 0 ? inner : x->sizes[1], pixels = inner / n;
    parallel(images * pixels, double(made.size()) * 20, [&](int64_t group) {
      int64_t base = group / pixels * inner + group % pixels;
      T most = -INFINITY, sum = 0;
      if (algorithm == fast) most = 0;
      else
        for (int64_t i = 0; i < n; i++) most = std::max(most, from.data[base + i * pixels]);
      for (int64_t i = 0; i < n; i++) sum += std::exp(from.data[base + i * pixels] - most);
      for (int64_t i = 0; i < n; i++) {
        T shifted = from.data[base + i * pixels] - most;
        made[size_t(base + i * pixels)] = algorithm == logarithm ? shifted - std::log(sum) : std::exp(shifted) / sum;
      }
    });
    blend(*y, reach(*y, ym), made.data(), scale(alpha, y->type), scale(beta, y->type));
  });
}

namespace {

enum Operation { sumOf, productOf, leastOf, greatestOf, greatestSize, averageOf, sumOfSizes, euclidean, productOfNonzero };

Status checkReduction(const char *name, const Reduction &r, const Tensor &a, const Tensor &c) {
  if (!isReal(a.type) || a.type != c.type || a.sizes.size() != c.sizes.size())
    return fail(badParam, "%s: needs two tensors of the same type and number of axes", name);
  for (size_t i = 0; i < a.sizes.size(); i++)
    if (c.sizes[i] != 1 && c.sizes[i] != a.sizes[i]) return fail(badParam, "%s: axis %zu of C has neither 1 nor A's size", name, i);
  if (r.indices && r.op != leastOf && r.op != greatestOf && r.op != greatestSize)
    return fail(badParam, "%s: operation %d has no indices", name, r.op);
  return success;
}

// reduce takes the elements of from at the given offsets. Sums are of double:
// a device's are sums of many parts. The index of the first extremum is kept.
template <class T> T reduce(const Reduction &r, const T *from, const std::vector<int64_t> &offsets, uint32_t &index) {
  double total = r.op == productOf || r.op == productOfNonzero ? 1 : 0;
  T extreme = r.op == leastOf ? T(INFINITY) : r.op == greatestOf ? T(-INFINITY) : T(0);
  bool nan = false;
  index = 0;
  for (size_t i = 0; i < offsets.size(); i++) {
    T v = from[offsets[i]], size = std::abs(v);
    nan = nan || v != v;
    switch (r.op) {
    case sumOf: case averageOf: total += v; break;
    case productOf: total *= v; break;
    case productOfNonzero: total *= v == 0 ? 1 : v; break;
    case sumOfSizes: total += size; break;
    case euclidean: total += double(v) * double(v); break;
    case leastOf: if (v < extreme) extreme = v, index = uint32_t(i); break;
    case greatestOf: if (v > extreme) extreme = v, index = uint32_t(i); break;
    default: if (size > extreme) extreme = size, index = uint32_t(i); break;
    }
  }
  if (r.op == leastOf || r.op == greatestOf || r.op == greatestSize) return nan && r.nan ? T(NAN) : extreme;
  if (r.op == averageOf) total /= double(offsets.size());
  return T(r.op == euclidean ? std::sqrt(total) : total);
}

size_t reductionWorkspace(const Tensor &a) { return size_t(256 + 4 * (a.elements() % 1021)); }

} // namespace

CUDNN_API int cudnnGetReductionIndicesSize(Handle *, const Reduction *r, const Tensor *a, const Tensor *c, size_t *bytes) {
  Status s = checkReduction(__func__, *r, *a, *c);
  *bytes = r->indices ? size_t(c->elements()) * sizeof(uint32_t) : 0;
  return s;
}
CUDNN_API int cudnnGetReductionWorkspaceSize(Handle *, const Reduction *r, const Tensor *a, const Tensor *c, size_t *bytes) {
  *bytes = reductionWorkspace(*a);
  return checkReduction(__func__, *r, *a, *c);
}

CUDNN_API int cudnnReduceTensor(Handle *, const Reduction *r, void *indices, size_t indicesBytes, void *workspace, size_t bytes,
                                const void *alpha, const Tensor *a, const void *am, const void *beta, const Tensor *c, void *cm) {
  Status s = checkReduction(__func__, *r, *a, *c);
  if (s != success) return s;
  size_t room = r->indices ? size_t(c->elements()) * sizeof(uint32_t) : 0;
  if (room && (!indices || indicesBytes < room)) return fail(badParam, "%s: needs %zu bytes for indices and got %zu", __func__, room, indices ? indicesBytes : 0);
  if (!workspace || bytes < reductionWorkspace(*a))
    return fail(badParam, "%s: needs %zu bytes of workspace and got %zu", __func__, reductionWorkspace(*a), workspace ? bytes : 0);
  s = useWorkspace(workspace, bytes);
  if (s != success) return s;
  return computing(a->type, [&](auto zero) {
    using T = decltype(zero);
    auto *positions = (uint32_t *)reach(indices, room);
    auto from = dense<T>(*a, reach(*a, am));
    Sizes own = packed(a->sizes), reduced = a->sizes;
    for (size_t i = 0; i < reduced.size(); i++)
      if (c->sizes[i] != 1) reduced[i] = 1;
    auto offset = [&](int64_t i, const Sizes &sizes) {
      int64_t at = 0;
      for (size_t axis = sizes.size(); axis-- > 0; i /= sizes[axis]) at += i % sizes[axis] * own[axis];
      return at;
    };
    std::vector<int64_t> offsets(size_t(count(reduced)));
    for (size_t i = 0; i < offsets.size(); i++) offsets[i] = offset(int64_t(i), reduced);
    std::vector<T> made(size_t(c->elements()));
    parallel(c->elements(), double(a->elements()), [&](int64_t i) {
      uint32_t index;
      made[size_t(i)] = reduce(*r, from.data + offset(i, c->sizes), offsets, index);
      if (room) positions[i] = index;
    });
    blend(*c, reach(*c, cm), made.data(), scale(alpha, c->type), scale(beta, c->type));
  });
}
