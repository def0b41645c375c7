// The operators of pooling: see pool.cuh.

#include "op.h"

namespace ortrain {
namespace {

DEVICE_KERNELS(max_pool);
DEVICE_KERNELS(max_pool_grad);
DEVICE_KERNELS(avg_pool);
DEVICE_KERNELS(avg_pool_grad);

// Windows is that of pool.cuh.
struct Windows {
  int channels, h, w, oh, ow, kh, kw, sh, sw, ph, pw, whole;
};

struct Pooling {
  Pooling(const Attributes &a, bool half) : half(half) {
    map = a.ints("shape", 4);
    auto o = a.ints("result", 2), k = a.ints("kernel_shape", 2), s = a.ints("strides", 2), p = a.ints("pads", 2);
    pooled = {map[0], map[1], o[0], o[1]};
    if (map[0] > 65535) throw std::runtime_error("pooling takes at most 65,535 images");
    windows = {int(map[1]), int(map[2]), int(map[3]), int(o[0]), int(o[1]), int(k[0]), int(k[1]), int(s[0]), int(s[1]), int(p[0]), int(p[1]),
               int(a.integer("count_pad"))};
  }
  // grid is that of a kernel with a thread for each pack of a result.
  Dim3 grid(const std::vector<int64_t> &result) const {
    const int64_t threads = result[1] / pack(half, map[1]) * result[2] * result[3];
    return {unsigned((threads + 255) / 256), unsigned(map[0]), 1};
  }
  bool half;
  std::vector<int64_t> map, pooled;
  Windows windows;
};

constexpr Dim3 kBlock{256, 1, 1};

// Pool: x → y, the largest element or the average of each window.
template <const DeviceKernels &kernels>
class Pool : Pooling {
 public:
  using Pooling::Pooling;
  void run(Call &call) {
    kernels.of(half, map[1])(call.stream(), grid(pooled), kBlock, call.input(0), call.output(0, pooled), windows);
  }
};

// MaxPoolGrad: dy, x, y → dx. Of equal largest elements of a window the first in
// row-major order gets all of the gradient; padding never wins.
class MaxPoolGrad : Pooling {
 public:
  using Pooling::Pooling;
  void run(Call &call) {
    max_pool_grad.of(half, map[1])(call.stream(), grid(map), kBlock, call.input(0), call.input(1), call.input(2), call.output(0, map), windows);
  }
};

// AvgPoolGrad: dy → dx.
class AvgPoolGrad : Pooling {
 public:
  using Pooling::Pooling;
  void run(Call &call) {
    avg_pool_grad.of(half, map[1])(call.stream(), grid(map), kBlock, call.input(0), call.output(0, map), windows);
  }
};

Operators<Pool<max_pool>> max_pool_operator("MaxPool", "m", 1, "m", 1);
Operators<Pool<avg_pool>> avg_pool_operator("AvgPool", "m", 1, "m", 1);
Operators<MaxPoolGrad> max_pool_grad_operator("MaxPoolGrad", "mmm", 3, "m", 1);
Operators<AvgPoolGrad> avg_pool_grad_operator("AvgPoolGrad", "m", 1, "m", 1);

}  // namespace
}  // namespace ortrain
