// What the stand-in for cuDNN shares between its files: the numbers of cuDNN 9
// that are used here, and what its opaque descriptors hold.
#pragma once
#include "parallel.h"
#include "tensor.h"
#include <cstdarg>
#include <cstdio>
#include <cstring>

#define CUDNN_API extern "C" __attribute__((visibility("default")))

namespace virtualgpu __attribute__((visibility("hidden"))) {

enum Status { success = 0, notInitialized = 1001, badParam = 2000, notSupported = 3000, executionFailed = 5000 };

// lastFailure is what cudnnGetLastErrorString tells.
inline thread_local char lastFailure[512];

// fail prints why a call is refused and returns the status to refuse it with.
__attribute__((format(printf, 2, 3))) inline Status fail(Status s, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(lastFailure, sizeof lastFailure, format, args);
  va_end(args);
  fprintf(stderr, "virtual cuDNN: %s\n", lastFailure);
  return s;
}

inline Type typeOf(int cudnn) {
  switch (cudnn) {
  case 0: return Type::f32;
  case 1: return Type::f64;
  case 2: return Type::f16;
  case 3: return Type::i8;
  case 4: return Type::i32;
  case 6: return Type::u8;
  case 9: return Type::bf16;
  case 10: return Type::i64;
  default: return Type::unknown;
  }
}

inline int numberOf(Type t) {
  switch (t) {
  case Type::f32: return 0;
  case Type::f64: return 1;
  case Type::f16: return 2;
  case Type::i8: return 3;
  case Type::i32: return 4;
  case Type::u8: return 6;
  case Type::bf16: return 9;
  case Type::i64: return 10;
  default: return -1;
  }
}

enum Format { formatNCHW = 0, formatNHWC = 1 };

// scale reads one of the factors alpha and beta: double beside double tensors,
// otherwise float, whatever the tensors hold.
inline double scale(const void *p, Type t) { return t == Type::f64 ? *(const double *)p : *(const float *)p; }

// reaching calls f, and fails where it meets an address that is not the
// device's.
template <class F> Status reaching(F f) {
  try {
    f();
  } catch (const Fault &) {
    return executionFailed;
  }
  return success;
}

// computing calls f with a zero of the type to compute in: double for double
// tensors, otherwise float.
template <class F> Status computing(Type t, F f) {
  if (!numerics()) return success;
  return reaching([&] {
    if (t == Type::f64) f(double(0));
    else f(float(0));
  });
}

// useWorkspace destroys what the caller said may be overwritten, so that a
// buffer that is too small, or in use, does not go unnoticed.
inline Status useWorkspace(void *p, size_t n) {
  return reaching([&] {
    void *memory = reach(p, n);
    if (numerics()) memset(memory, 0xff, n);
  });
}

struct Handle { void *stream = nullptr; };

struct Filter : Tensor { int format = formatNCHW; };

struct ConvolutionDescriptor {
  std::vector<int> pads, strides, dilations;
  int mode = 1, groups = 1, math = 0, compute = 0;
};

struct Pooling {
  int mode = 0, nan = 0;
  std::vector<int> window, pads, strides;
};

enum ActivationMode { sigmoid, relu, tanhMode, clippedRelu, elu, identity, swish };

struct Activation {
  int mode = relu, nan = 0;
  double coefficient = 0, swishBeta = 1;
};

struct Reduction { int op = 0, compute = 0, nan = 0, indices = 0, indexType = 0; };

struct LocalResponseNorm { unsigned n = 5; double alpha = 1e-4, beta = 0.75, k = 2; };

// activate applies an activation to one value. Without propagation a comparison
// with NaN takes the lower bound.
template <class C> C activate(const Activation &a, C v) {
  auto below = [&](C x, C bound) { return a.nan ? x < bound : !(x > bound); };
  switch (a.mode) {
  case sigmoid: return 1 / (1 + std::exp(-v));
  case relu: return below(v, 0) ? C(0) : v;
  case tanhMode: return std::tanh(v);
  case clippedRelu: return below(v, 0) ? C(0) : v > C(a.coefficient) ? C(a.coefficient) : v;
  case elu: return v >= 0 ? v : C(a.coefficient) * std::expm1(v);
  case swish: return v / (1 + std::exp(-C(a.swishBeta) * v));
  default: return v;
  }
}

struct Convolution;

// geometry checks a convolution's sizes against each other; its failure is
// reported in the caller's name. x is the input (or its gradient), y the output.
Status geometry(const char *name, const Tensor &x, const Tensor &w, const Tensor &y, const Sizes &before,
                const Sizes &after, const Sizes &stride, const Sizes &dilation, int64_t groups, Convolution &c);

enum Direction { forwards, toData, toFilter };

// convolve computes one of the three in float, or in double for double tensors,
// and blends it into its destination: y, x or w. The memory is the host's.
Status convolve(Direction way, const Convolution &c, const Tensor &x, const void *xMemory, const Tensor &w,
              const void *wMemory, const Tensor &y, const void *yMemory, double alpha, double beta);

// workspaceSize is what a convolution asks for: never nothing, different for
// different shapes.
size_t workspaceSize(Direction way, const Convolution &c);

} // namespace virtualgpu
