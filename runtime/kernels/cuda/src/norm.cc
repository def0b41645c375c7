// The operators of batch normalisation: see norm.cuh for what they compute.

#include "channels.h"

namespace ortrain {
namespace {

DEVICE_KERNELS(moments);
DEVICE_KERNELS(norm);
DEVICE_KERNELS(norm_sums);
DEVICE_KERNELS(norm_grad);
DeviceKernel join_moments("join_moments"), join_sums("join_sums");

// Statistics: x → mean, biased variance of every channel.
class Statistics {
 public:
  Statistics(const Attributes &a, bool half) : s_(a, half) {}
  void run(Call &call) {
    auto *means = static_cast<float *>(call.temporary(2 * s_.grid.y * s_.channels * sizeof(float)));
    float *m2s = means + s_.grid.y * s_.channels;
    auto *mean = static_cast<float *>(call.output(0, {s_.channels})), *variance = static_cast<float *>(call.output(1, {s_.channels}));
    const long long rows = s_.rows;
    const int channels = int(s_.channels);
    moments.of(s_.half, channels)(call.stream(), s_.grid, s_.block, call.input(0), rows, channels, s_.per, means, m2s);
    join_moments(call.stream(), s_.joining(), kJoiningBlock, means, m2s, int(s_.grid.y), rows, channels, s_.per, mean, variance);
  }

 private:
  Rows s_;
};

// Norm: x, mean, variance, γ, β and perhaps r →
// act(γ·(x − mean)/√(variance + eps) + β + r).
class Norm {
 public:
  Norm(const Attributes &a, bool half) : s_(a, half), eps_(a.number("eps")), relu_(int(a.integer("relu"))) {}
  void run(Call &call) {
    norm.of(s_.half, s_.channels)(call.stream(), s_.grid, s_.block, call.input(0), call.input(1), call.input(2), call.input(3), call.input(4),
                                  call.input(5), call.output(0, s_.dims), (long long)s_.rows, int(s_.channels), s_.per, eps_, relu_);
  }

 private:
  Rows s_;
  float eps_;
  int relu_;
};

// NormGrad: dy, x, γ, mean, variance and perhaps a, y → dx, dγ, dβ and perhaps g.
// The gradient that reaches the norm is g = [y > 0]·(dy + a): y is the output of
// a rectifier behind the norm, a a gradient that has arrived by another way.
class NormGrad {
 public:
  NormGrad(const Attributes &a, bool half) : s_(a, half), eps_(a.number("eps")) {}
  void run(Call &call) {
    const void *dy = call.input(0), *x = call.input(1), *gamma = call.input(2), *mean = call.input(3), *variance = call.input(4);
    const void *add = call.input(5), *y = call.input(6);
    void *dx = call.output(0, s_.dims), *dgamma = call.output(1, {s_.channels}), *dbeta = call.output(2, {s_.channels}),
         *g = call.output(3, s_.dims);
    auto *sums = static_cast<float *>(call.temporary(2 * s_.grid.y * s_.channels * sizeof(float)));
    float *dots = sums + s_.grid.y * s_.channels;
    const long long rows = s_.rows;
    const int channels = int(s_.channels);
    norm_sums.of(s_.half, channels)(call.stream(), s_.grid, s_.block, dy, add, y, x, mean, g, rows, channels, s_.per, sums, dots);
    join_sums(call.stream(), s_.joining(), kJoiningBlock, sums, dots, int(s_.grid.y), channels, variance, eps_, dgamma, dbeta);
    if (g != nullptr) dy = g, add = y = nullptr;
    norm_grad.of(s_.half, channels)(call.stream(), s_.grid, s_.block, dy, add, y, x, gamma, mean, variance, dgamma, dbeta, dx, rows, channels, s_.per,
                                    eps_);
  }

 private:
  Rows s_;
  float eps_;
};

Operators<Statistics> statistics("Statistics", "m", 1, "ff", 2);
Operators<Norm> norm_operator("Norm", "mffffm", 5, "m", 1);
Operators<NormGrad> norm_grad_operator("NormGrad", "mmfffmm", 5, "mffm", 3);

}  // namespace
}  // namespace ortrain
