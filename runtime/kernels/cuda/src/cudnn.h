// The functions of cuDNN 8 and 9 that the convolutions use, looked up in the
// library that ONNX Runtime has loaded: nothing of it is linked, and its headers
// are not needed. The numbers and structures are those of cudnn.h, the same in
// both versions.
#pragma once

#include <cstddef>

namespace ortrain {

struct Cudnn {
  enum Format { kChannelsLast = 1 };
  enum Type { kFloat = 0, kHalf = 2 };
  enum Mode { kCrossCorrelation = 1 };
  enum Math { kDefaultMath = 0, kTensorMath = 1, kFMAMath = 3 };

  // Performance is what a search says of an algorithm.
  struct Performance {
    int algorithm, status;
    float time;
    size_t memory;
    int deterministic, math, reserved[3];
  };

  Cudnn();
  void check(int status, const char *what) const;

  const char *(*error)(int);
  int (*create_tensor)(void **), (*destroy_tensor)(void *), (*set_tensor)(void *, int format, int type, int, int, int, int);
  int (*create_filter)(void **), (*destroy_filter)(void *), (*set_filter)(void *, int type, int format, int, int, int, int);
  int (*create_conv)(void **), (*destroy_conv)(void *);
  int (*set_conv)(void *, int ph, int pw, int sh, int sw, int dh, int dw, int mode, int type);
  int (*set_groups)(void *, int), (*set_math)(void *, int);

  // The forward pass and the two gradients have functions of the same form: two
  // descriptors with operands, the convolution's, the result's.
  struct Pass {
    int (*find)(void *handle, void *, const void *, void *, const void *, void *conv, void *, void *, int wanted, int *found, Performance *,
                void *workspace, size_t);
    int (*suggest)(void *handle, void *, void *, void *conv, void *, int wanted, int *found, Performance *);
    int (*run)(void *handle, const void *alpha, void *, const void *, void *, const void *, void *conv, int algorithm, void *workspace, size_t,
               const void *beta, void *, void *);
  };
  Pass forward, grad_input, grad_weight;
};

const Cudnn &cudnn();

}  // namespace ortrain
