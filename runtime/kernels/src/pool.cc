// The gradient of max-pooling on blocks.

#include <algorithm>
#include <cstring>

#include "op.h"

namespace ortrain {
namespace {

// MaxPoolGrad: dy, x → dx. Of equal largest elements of a window the first in
// row-major order gets all of the gradient; padding never wins.
class MaxPoolGrad {
 public:
  explicit MaxPoolGrad(const Attributes &a) {
    dims_ = a.ints("shape", 4);
    auto o = a.ints("result", 2), k = a.ints("kernel_shape", 2), s = a.ints("strides", 2), p = a.ints("pads", 2);
    oh_ = o[0], ow_ = o[1], kh_ = k[0], kw_ = k[1], sh_ = s[0], sw_ = s[1], ph_ = p[0], pw_ = p[1];
    h_ = dims_[2], w_ = dims_[3];
    block_ = a.integer("block");
    threads_ = size_t(a.integer("threads"));
    units_ = size_t(dims_[0] * dims_[1] / block_);
    if (block_ != 8 && block_ != 16) throw std::runtime_error("blocks must have 8 or 16 channels");
  }
  void run(Call &call) {
    if (block_ == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *dy = call.input(0), *x = call.input(1);
    float *dx = call.output(0, dims_);
    size_t tasks = std::min(units_, threads_ == 1 ? size_t(1) : threads_ * 4);
    call.parallel(tasks, [&](size_t t) {
      for (size_t u = units_ * t / tasks; u < units_ * (t + 1) / tasks; u++)
        unit<B>(dy + u * size_t(oh_ * ow_ * B), x + u * size_t(h_ * w_ * B), dx + u * size_t(h_ * w_ * B));
    });
  }
  template <int B>
  void unit(const float *dy, const float *x, float *dx) const {
    std::memset(dx, 0, sizeof(float) * size_t(h_ * w_) * B);
    for (int64_t i = 0; i < oh_; i++) {
      int64_t r0 = std::max<int64_t>(i * sh_ - ph_, 0), r1 = std::min(i * sh_ - ph_ + kh_, h_);
      for (int64_t j = 0; j < ow_; j++) {
        int64_t c0 = std::max<int64_t>(j * sw_ - pw_, 0), c1 = std::min(j * sw_ - pw_ + kw_, w_);
        float best[B];
        int32_t where[B];
        for (int l = 0; l < B; l++) best[l] = x[(r0 * w_ + c0) * B + l], where[l] = int32_t(r0 * w_ + c0);
        for (int64_t r = r0; r < r1; r++)
          for (int64_t c = c0; c < c1; c++) {
            const float *p = x + (r * w_ + c) * B;
            int32_t at = int32_t(r * w_ + c);
            for (int l = 0; l < B; l++) {
              bool more = p[l] > best[l] || p[l] != p[l];
              best[l] = more ? p[l] : best[l];
              where[l] = more ? at : where[l];
            }
          }
        const float *g = dy + (i * ow_ + j) * B;
        for (int l = 0; l < B; l++) dx[where[l] * B + l] += g[l];
      }
    }
  }
  std::vector<int64_t> dims_;
  int64_t h_, w_, oh_, ow_, kh_, kw_, sh_, sw_, ph_, pw_, block_;
  size_t threads_, units_;
};

Operator<MaxPoolGrad> max_pool_grad("MaxPoolGrad", 2, 2, 1, 1);

}  // namespace
}  // namespace ortrain
