// Handles and descriptors: what cuDNN's functions get to know of tensors,
// filters and convolutions.
#include "cudnn_types.h"

using namespace virtualgpu;

namespace {

// made is the body of a function that makes a descriptor, ended of the one that ends it.
template <class T> int made(T **p) {
  if (!p) return fail(badParam, "a descriptor is to be stored in a null pointer");
  *p = new T;
  return success;
}
template <class T> int ended(T *p) {
  delete p;
  return success;
}

Sizes wide(const int *p, int n) { return Sizes(p, p + n); }

bool known(const char *name, int type, int rank) {
  if (typeOf(type) == Type::unknown) fail(notSupported, "%s: data type %d is not one of the stand-in's", name, type);
  else if (rank < 1 || rank > 8) fail(badParam, "%s: %d axes", name, rank);
  else return true;
  return false;
}

Status set(const char *name, Tensor *t, int type, const Sizes &sizes, const Sizes &strides) {
  if (!t || !known(name, type, int(sizes.size()))) return badParam;
  for (size_t i = 0; i < sizes.size(); i++)
    if (sizes[i] <= 0) return fail(badParam, "%s: axis %zu has size %lld", name, i, (long long)sizes[i]);
  t->type = typeOf(type), t->sizes = sizes, t->strides = strides;
  return success;
}

Status setFormat(const char *name, Tensor *t, int type, const Sizes &sizes, int format) {
  if (format == formatNCHW) return set(name, t, type, sizes, packed(sizes));
  if (format == formatNHWC) return set(name, t, type, sizes, channelsLast(sizes));
  return fail(notSupported, "%s: tensor format %d", name, format);
}

} // namespace

#define DESCRIPTOR(name, type)                                                                                         \
  CUDNN_API int cudnnCreate##name(type **p) { return made(p); }                                                        \
  CUDNN_API int cudnnDestroy##name(type *p) { return ended(p); }
DESCRIPTOR(, Handle)
DESCRIPTOR(TensorDescriptor, Tensor)
DESCRIPTOR(FilterDescriptor, Filter)
DESCRIPTOR(ConvolutionDescriptor, ConvolutionDescriptor)
DESCRIPTOR(PoolingDescriptor, Pooling)
DESCRIPTOR(ActivationDescriptor, Activation)
DESCRIPTOR(ReduceTensorDescriptor, Reduction)
DESCRIPTOR(LRNDescriptor, LocalResponseNorm)

CUDNN_API int cudnnSetStream(Handle *h, void *stream) {
  h->stream = stream;
  return success;
}
CUDNN_API int cudnnGetStream(Handle *h, void **stream) {
  *stream = h->stream;
  return success;
}
CUDNN_API size_t cudnnGetVersion() { return 91200; }
CUDNN_API size_t cudnnGetCudartVersion() { return 12080; }
CUDNN_API const char *cudnnGetErrorString(int s) {
  switch (s) {
  case success: return "CUDNN_STATUS_SUCCESS";
  case notInitialized: return "CUDNN_STATUS_NOT_INITIALIZED";
  case badParam: return "CUDNN_STATUS_BAD_PARAM";
  case notSupported: return "CUDNN_STATUS_NOT_SUPPORTED";
  default: return "a status of the virtual cuDNN";
  }
}
CUDNN_API void cudnnGetLastErrorString(char *message, size_t size) {
  if (size) snprintf(message, size, "%s", lastFailure);
}

CUDNN_API int cudnnSetTensor4dDescriptor(Tensor *t, int format, int type, int n, int c, int h, int w) {
  return setFormat(__func__, t, type, {n, c, h, w}, format);
}
CUDNN_API int cudnnSetTensor4dDescriptorEx(Tensor *t, int type, int n, int c, int h, int w, int ns, int cs, int hs, int ws) {
  return set(__func__, t, type, {n, c, h, w}, {ns, cs, hs, ws});
}
CUDNN_API int cudnnSetTensorNdDescriptor(Tensor *t, int type, int rank, const int *sizes, const int *strides) {
  if (!known(__func__, type, rank)) return badParam;
  return set(__func__, t, type, wide(sizes, rank), wide(strides, rank));
}
CUDNN_API int cudnnSetTensorNdDescriptorEx(Tensor *t, int format, int type, int rank, const int *sizes) {
  if (!known(__func__, type, rank)) return badParam;
  return setFormat(__func__, t, type, wide(sizes, rank), format);
}
CUDNN_API int cudnnGetTensor4dDescriptor(const Tensor *t, int *type, int *n, int *c, int *h, int *w, int *ns, int *cs, int *hs, int *ws) {
  if (t->sizes.size() != 4) return fail(badParam, "%s: the tensor has %zu axes", __func__, t->sizes.size());
  int *sizes[] = {n, c, h, w}, *strides[] = {ns, cs, hs, ws};
  *type = numberOf(t->type);
  for (size_t i = 0; i < 4; i++) *sizes[i] = int(t->sizes[i]), *strides[i] = int(t->strides[i]);
  return success;
}
CUDNN_API int cudnnGetTensorNdDescriptor(const Tensor *t, int asked, int *type, int *rank, int *sizes, int *strides) {
  *type = numberOf(t->type), *rank = int(t->sizes.size());
  for (int i = 0; i < std::min(asked, *rank); i++) sizes[i] = int(t->sizes[size_t(i)]), strides[i] = int(t->strides[size_t(i)]);
  return success;
}
CUDNN_API int cudnnGetTensorSizeInBytes(const Tensor *t, size_t *size) {
  *size = extent(*t);
  return success;
}

namespace {
Status setFilter(const char *name, Filter *f, int type, int format, const Sizes &sizes) {
  Status s = setFormat(name, f, type, sizes, format);
  if (s == success) f->format = format;
  return s;
}
} // namespace

CUDNN_API int cudnnSetFilter4dDescriptor(Filter *f, int type, int format, int k, int c, int h, int w) {
  return setFilter(__func__, f, type, format, {k, c, h, w});
}
CUDNN_API int cudnnSetFilterNdDescriptor(Filter *f, int type, int format, int rank, const int *sizes) {
  if (!known(__func__, type, rank)) return badParam;
  return setFilter(__func__, f, type, format, wide(sizes, rank));
}
CUDNN_API int cudnnGetFilter4dDescriptor(const Filter *f, int *type, int *format, int *k, int *c, int *h, int *w) {
  if (f->sizes.size() != 4) return fail(badParam, "%s: the filter has %zu axes", __func__, f->sizes.size());
  int *sizes[] = {k, c, h, w};
  *type = numberOf(f->type), *format = f->format;
  for (size_t i = 0; i < 4; i++) *sizes[i] = int(f->sizes[i]);
  return success;
}
CUDNN_API int cudnnGetFilterNdDescriptor(const Filter *f, int asked, int *type, int *format, int *rank, int *sizes) {
  *type = numberOf(f->type), *format = f->format, *rank = int(f->sizes.size());
  for (int i = 0; i < std::min(asked, *rank); i++) sizes[i] = int(f->sizes[size_t(i)]);
  return success;
}
CUDNN_API int cudnnGetFilterSizeInBytes(const Filter *f, size_t *size) {
  *size = extent(*f);
  return success;
}

CUDNN_API int cudnnSetConvolutionNdDescriptor(ConvolutionDescriptor *c, int rank, const int *pads, const int *strides,
                                              const int *dilations, int mode, int compute) {
  if (!known(__func__, compute, rank)) return badParam;
  if (mode != 0 && mode != 1) return fail(badParam, "%s: mode %d", __func__, mode);
  for (int i = 0; i < rank; i++)
    if (pads[i] < 0 || strides[i] < 1 || dilations[i] < 1)
      return fail(badParam, "%s: axis %d has padding %d, stride %d, dilation %d", __func__, i, pads[i], strides[i], dilations[i]);
  c->pads.assign(pads, pads + rank);
  c->strides.assign(strides, strides + rank);
  c->dilations.assign(dilations, dilations + rank);
  c->mode = mode, c->compute = compute;
  return success;
}
CUDNN_API int cudnnSetConvolution2dDescriptor(ConvolutionDescriptor *c, int padH, int padW, int strideH, int strideW,
                                              int dilationH, int dilationW, int mode, int compute) {
  int pads[] = {padH, padW}, strides[] = {strideH, strideW}, dilations[] = {dilationH, dilationW};
  return cudnnSetConvolutionNdDescriptor(c, 2, pads, strides, dilations, mode, compute);
}
CUDNN_API int cudnnGetConvolutionNdDescriptor(const ConvolutionDescriptor *c, int asked, int *rank, int *pads, int *strides,
                                              int *dilations, int *mode, int *compute) {
  *rank = int(c->pads.size()), *mode = c->mode, *compute = c->compute;
  for (size_t i = 0; i < size_t(std::min(asked, *rank)); i++)
    pads[i] = c->pads[i], strides[i] = c->strides[i], dilations[i] = c->dilations[i];
  return success;
}
CUDNN_API int cudnnGetConvolution2dDescriptor(const ConvolutionDescriptor *c, int *padH, int *padW, int *strideH, int *strideW,
                                              int *dilationH, int *dilationW, int *mode, int *compute) {
  if (c->pads.size() != 2) return fail(badParam, "%s: the convolution has %zu axes", __func__, c->pads.size());
  *padH = c->pads[0], *padW = c->pads[1], *strideH = c->strides[0], *strideW = c->strides[1];
  *dilationH = c->dilations[0], *dilationW = c->dilations[1], *mode = c->mode, *compute = c->compute;
  return success;
}
CUDNN_API int cudnnSetConvolutionGroupCount(ConvolutionDescriptor *c, int groups) {
  if (groups < 1) return fail(badParam, "%s: %d groups", __func__, groups);
  c->groups = groups;
  return success;
}
CUDNN_API int cudnnGetConvolutionGroupCount(const ConvolutionDescriptor *c, int *groups) {
  *groups = c->groups;
  return success;
}
CUDNN_API int cudnnSetConvolutionMathType(ConvolutionDescriptor *c, int math) {
  if (math < 0 || math > 3) return fail(badParam, "%s: math type %d", __func__, math);
  c->math = math;
  return success;
}
CUDNN_API int cudnnGetConvolutionMathType(const ConvolutionDescriptor *c, int *math) {
  *math = c->math;
  return success;
}

CUDNN_API int cudnnSetPoolingNdDescriptor(Pooling *p, int mode, int nan, int rank, const int *window, const int *pads, const int *strides) {
  if (mode < 0 || mode > 3 || rank < 1 || rank > 3) return fail(notSupported, "%s: mode %d, %d axes", __func__, mode, rank);
  p->mode = mode, p->nan = nan;
  p->window.assign(window, window + rank);
  p->pads.assign(pads, pads + rank);
  p->strides.assign(strides, strides + rank);
  return success;
}
CUDNN_API int cudnnSetPooling2dDescriptor(Pooling *p, int mode, int nan, int windowH, int windowW, int padH, int padW, int strideH, int strideW) {
  int window[] = {windowH, windowW}, pads[] = {padH, padW}, strides[] = {strideH, strideW};
  return cudnnSetPoolingNdDescriptor(p, mode, nan, 2, window, pads, strides);
}

CUDNN_API int cudnnSetActivationDescriptor(Activation *a, int mode, int nan, double coefficient) {
  if (mode < sigmoid || mode > swish) return fail(badParam, "%s: mode %d", __func__, mode);
  a->mode = mode, a->nan = nan, a->coefficient = coefficient;
  return success;
}
CUDNN_API int cudnnSetActivationDescriptorSwishBeta(Activation *a, double beta) {
  a->swishBeta = beta;
  return success;
}

CUDNN_API int cudnnSetReduceTensorDescriptor(Reduction *r, int op, int compute, int nan, int indices, int indexType) {
  if (op < 0 || op > 8) return fail(badParam, "%s: operation %d", __func__, op);
  if (indices && indexType != 0) return fail(notSupported, "%s: only indices of 32 bits", __func__);
  *r = {op, compute, nan, indices, indexType};
  return success;
}

CUDNN_API int cudnnSetLRNDescriptor(LocalResponseNorm *l, unsigned n, double alpha, double beta, double k) {
  if (n < 1 || n > 16 || k < 1e-5 || beta < 0.01) return fail(badParam, "%s: n %u, beta %g, k %g", __func__, n, beta, k);
  *l = {n, alpha, beta, k};
  return success;
}
