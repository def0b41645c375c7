// The functions for convolutions that do not go through operation graphs.
#include "convolution.h"
#include "cudnn_types.h"

using namespace virtualgpu;

namespace {

// Found is what a search for an algorithm answers: cuDNN's structs for the
// three kinds are alike.
struct Found {
  int algorithm, status;
  float time;
  size_t memory;
  int determinism, math, reserved[3];
};
static_assert(sizeof(Found) == 48, "cudnnConvolution*AlgoPerf_t");

constexpr int algorithms[] = {8, 6, 7}; // how many cuDNN has, by direction
constexpr int fmaMath = 3;              // the math type without tensor cores

Sizes wide(const std::vector<int> &v) { return Sizes(v.begin(), v.end()); }

Status check(const char *name, const ConvolutionDescriptor &d, const Tensor &x, const Tensor &w, const Tensor &y, Convolution &c) {
  Sizes pads = wide(d.pads);
  Status s = geometry(name, x, w, y, pads, pads, wide(d.strides), wide(d.dilations), d.groups, c);
  if (s == success && (typeOf(d.compute) == Type::f64) != (x.type == Type::f64))
    return fail(notSupported, "%s: data type %d computed in %d", name, numberOf(x.type), d.compute);
  c.flipped = d.mode == 0;
  c.tf32 = d.math != fmaMath && emulatesTF32();
  return s;
}

int size(const char *name, Direction way, const ConvolutionDescriptor &d, const Tensor &x, const Tensor &w, const Tensor &y, int algorithm, size_t *bytes) {
  Convolution c;
  Status s = check(name, d, x, w, y, c);
  if (s != success) return s;
  if (algorithm < 0 || algorithm >= algorithms[way]) return fail(badParam, "%s: algorithm %d", name, algorithm);
  *bytes = workspaceSize(way, c);
  return success;
}

// prepare checks a convolution and takes its workspace.
int prepare(const char *name, Direction way, const ConvolutionDescriptor &d, const Tensor &x, const Tensor &w, const Tensor &y,
            int algorithm, void *workspace, size_t given, Convolution &c) {
  size_t needed = 0;
  int s = size(name, way, d, x, w, y, algorithm, &needed);
  if (s != success) return s;
  if (!workspace || given < needed)
    return fail(badParam, "%s: needs %zu bytes of workspace and got %zu", name, needed, workspace ? given : 0);
  check(name, d, x, w, y, c);
  return useWorkspace(workspace, given);
}

int run(const char *name, Direction way, const ConvolutionDescriptor &d, const Tensor &x, const void *xm, const Tensor &w,
        const void *wm, const Tensor &y, const void *ym, int algorithm, void *workspace, size_t given, double alpha, double beta) {
  Convolution c;
  int s = prepare(name, way, d, x, w, y, algorithm, workspace, given, c);
  if (s != success) return s;
  s = reaching([&] { xm = reach(x, xm), wm = reach(w, wm), ym = reach(y, ym); });
  return s == success ? convolve(way, c, x, xm, w, wm, y, ym, alpha, beta) : s;
}

int find(const char *name, Direction way, const ConvolutionDescriptor &d, const Tensor &x, const Tensor &w, const Tensor &y, int asked, int *returned, Found *found) {
  size_t bytes = 0;
  int s = size(name, way, d, x, w, y, 1, &bytes);
  if (s != success) return s;
  if (asked < 1) return fail(badParam, "%s: %d algorithms asked for", name, asked);
  *returned = 1;
  *found = {1, success, 1, bytes, 1, d.math, {}};
  return success;
}

} // namespace

CUDNN_API int cudnnConvolutionForward(Handle *, const void *alpha, const Tensor *x, const void *xm, const Filter *w, const void *wm,
                                      const ConvolutionDescriptor *c, int algorithm, void *workspace, size_t bytes,
                                      const void *beta, const Tensor *y, void *ym) {
  return run(__func__, forwards, *c, *x, xm, *w, wm, *y, ym, algorithm, workspace, bytes, scale(alpha, y->type), scale(beta, y->type));
}
CUDNN_API int cudnnConvolutionBackwardData(Handle *, const void *alpha, const Filter *w, const void *wm, const Tensor *y, const void *ym,
                                           const ConvolutionDescriptor *c, int algorithm, void *workspace, size_t bytes,
                                           const void *beta, const Tensor *x, void *xm) {
  return run(__func__, toData, *c, *x, xm, *w, wm, *y, ym, algorithm, workspace, bytes, scale(alpha, x->type), scale(beta, x->type));
}
CUDNN_API int cudnnConvolutionBackwardFilter(Handle *, const void *alpha, const Tensor *x, const void *xm, const Tensor *y, const void *ym,
                                             const ConvolutionDescriptor *c, int algorithm, void *workspace, size_t bytes,
                                             const void *beta, const Filter *w, void *wm) {
  return run(__func__, toFilter, *c, *x, xm, *w, wm, *y, ym, algorithm, workspace, bytes, scale(alpha, w->type), scale(beta, w->type));
}

CUDNN_API int cudnnConvolutionBiasActivationForward(Handle *, const void *alpha1, const Tensor *x, const void *xm, const Filter *w,
                                                    const void *wm, const ConvolutionDescriptor *c, int algorithm,
                                                    void *workspace, size_t bytes, const void *alpha2, const Tensor *z,
                                                    const void *zm, const Tensor *bias, const void *biasMemory,
                                                    const Activation *activation, const Tensor *y, void *ym) {
  Sizes zSteps = broadcast(*z, y->sizes), biasSteps = broadcast(*bias, y->sizes);
  if (zSteps.empty() || biasSteps.empty() || z->type != y->type || bias->type != y->type)
    return fail(badParam, "%s: z or the bias does not fit the result", __func__);
  Convolution g;
  int s = prepare(__func__, forwards, *c, *x, *w, *y, algorithm, workspace, bytes, g);
  if (s != success) return s;
  return computing(y->type, [&](auto zero) {
    using T = decltype(zero);
    // The sum is rounded to the tensors' type once, at the end.
    std::vector<T> sum(size_t(y->elements()));
    Tensor wide = {sizeof(T) == 8 ? Type::f64 : Type::f32, y->sizes, packed(y->sizes)};
    convolve(forwards, g, *x, reach(*x, xm), *w, reach(*w, wm), wide, sum.data(), 1, 0);
    auto others = dense<T>({z->type, y->sizes, zSteps}, reach(*z, zm)), shifts = dense<T>({bias->type, y->sizes, biasSteps}, reach(*bias, biasMemory));
    T first = T(scale(alpha1, y->type)), second = T(scale(alpha2, y->type));
    for (size_t i = 0; i < sum.size(); i++) sum[i] = activate<T>(*activation, first * sum[i] + second * others.data[i] + shifts.data[i]);
    blend(*y, reach(*y, ym), sum.data(), 1, 0);
  });
}

// The three searches know one algorithm. The Ex forms run it, as cuDNN does,
// which overwrites the result.
#define RUN_ONCE(way, x, xm, w, wm, y, ym)                                                                             \
  int s = find(__func__, way, *c, *x, *w, *y, asked, returned, found);                                                 \
  return s != success ? s : run(__func__, way, *c, *x, xm, *w, wm, *y, ym, 1, workspace, bytes, 1, 0);

CUDNN_API int cudnnGetConvolutionForwardAlgorithm_v7(Handle *, const Tensor *x, const Filter *w, const ConvolutionDescriptor *c,
                                                     const Tensor *y, int asked, int *returned, Found *found) {
  return find(__func__, forwards, *c, *x, *w, *y, asked, returned, found);
}
CUDNN_API int cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle *, const Filter *w, const Tensor *y, const ConvolutionDescriptor *c,
                                                          const Tensor *x, int asked, int *returned, Found *found) {
  return find(__func__, toData, *c, *x, *w, *y, asked, returned, found);
}
CUDNN_API int cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle *, const Tensor *x, const Tensor *y, const ConvolutionDescriptor *c,
                                                            const Filter *w, int asked, int *returned, Found *found) {
  return find(__func__, toFilter, *c, *x, *w, *y, asked, returned, found);
}
CUDNN_API int cudnnFindConvolutionForwardAlgorithmEx(Handle *, const Tensor *x, const void *xm, const Filter *w, const void *wm,
                                                     const ConvolutionDescriptor *c, const Tensor *y, void *ym, int asked,
                                                     int *returned, Found *found, void *workspace, size_t bytes) {
  RUN_ONCE(forwards, x, xm, w, wm, y, ym)
}
CUDNN_API int cudnnFindConvolutionBackwardDataAlgorithmEx(Handle *, const Filter *w, const void *wm, const Tensor *y, const void *ym,
                                                          const ConvolutionDescriptor *c, const Tensor *x, void *xm, int asked,
                                                          int *returned, Found *found, void *workspace, size_t bytes) {
  RUN_ONCE(toData, x, xm, w, wm, y, ym)
}
CUDNN_API int cudnnFindConvolutionBackwardFilterAlgorithmEx(Handle *, const Tensor *x, const void *xm, const Tensor *y, const void *ym,
                                                            const ConvolutionDescriptor *c, const Filter *w, void *wm, int asked,
                                                            int *returned, Found *found, void *workspace, size_t bytes) {
  RUN_ONCE(toFilter, x, xm, w, wm, y, ym)
}

CUDNN_API int cudnnGetConvolutionForwardWorkspaceSize(Handle *, const Tensor *x, const Filter *w, const ConvolutionDescriptor *c,
                                                      const Tensor *y, int algorithm, size_t *bytes) {
  return size(__func__, forwards, *c, *x, *w, *y, algorithm, bytes);
}
CUDNN_API int cudnnGetConvolutionBackwardDataWorkspaceSize(Handle *, const Filter *w, const Tensor *y, const ConvolutionDescriptor *c,
                                                           const Tensor *x, int algorithm, size_t *bytes) {
  return size(__func__, toData, *c, *x, *w, *y, algorithm, bytes);
}
CUDNN_API int cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle *, const Tensor *x, const Tensor *y, const ConvolutionDescriptor *c,
                                                             const Filter *w, int algorithm, size_t *bytes) {
  return size(__func__, toFilter, *c, *x, *w, *y, algorithm, bytes);
}
CUDNN_API int cudnnGetConvolutionForwardAlgorithmMaxCount(Handle *, int *n) {
  *n = algorithms[forwards];
  return success;
}
CUDNN_API int cudnnGetConvolutionBackwardDataAlgorithmMaxCount(Handle *, int *n) {
  *n = algorithms[toData];
  return success;
}
CUDNN_API int cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(Handle *, int *n) {
  *n = algorithms[toFilter];
  return success;
}

CUDNN_API int cudnnGetConvolutionNdForwardOutputDim(const ConvolutionDescriptor *c, const Tensor *x, const Filter *w, int rank, int *sizes) {
  if (rank != int(c->pads.size()) + 2 || x->sizes.size() != size_t(rank) || w->sizes.size() != size_t(rank))
    return fail(badParam, "%s: %d sizes of a convolution along %zu axes", __func__, rank, c->pads.size());
  sizes[0] = int(x->sizes[0]), sizes[1] = int(w->sizes[0]);
  for (size_t i = 0; i < c->pads.size(); i++) {
    int reach = int(x->sizes[i + 2]) + 2 * c->pads[i] - (int(w->sizes[i + 2]) - 1) * c->dilations[i] - 1;
    if (reach < 0) return fail(badParam, "%s: the kernel is larger than the image along axis %zu", __func__, i);
    sizes[i + 2] = reach / c->strides[i] + 1;
  }
  return success;
}
CUDNN_API int cudnnGetConvolution2dForwardOutputDim(const ConvolutionDescriptor *c, const Tensor *x, const Filter *w, int *n, int *k, int *h, int *width) {
  int sizes[4], s = cudnnGetConvolutionNdForwardOutputDim(c, x, w, 4, sizes);
  if (s == success) *n = sizes[0], *k = sizes[1], *h = sizes[2], *width = sizes[3];
  return s;
}
