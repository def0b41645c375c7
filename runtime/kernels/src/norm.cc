// Batch normalisation on blocks (Ioffe & Szegedy 2015), with what surrounds it
// in a residual network in the same pass: the rectifier and the residual sum
// forward, their gradients backward.

#include <cmath>

#include "channels.h"
#include "maps.h"
#include "op.h"

namespace ortrain {
namespace {

struct Shape {
  explicit Shape(const Attributes &a) {
    dims = a.ints("shape", 4);
    block = size_t(a.integer("block"));
    threads = size_t(a.integer("threads"));
    n = size_t(dims[0]), c = size_t(dims[1]), pixels = size_t(dims[2] * dims[3]);
    if (block != 8 && block != 16) throw std::runtime_error("blocks must have 8 or 16 channels");
    if (c % block != 0) throw std::runtime_error("the channels must be a multiple of the block");
    units = n * (c / block);
  }
  // channel returns the first channel of a unit, a block of an image.
  size_t channel(size_t unit) const { return unit % (c / block) * block; }
  size_t image(size_t unit) const { return unit / (c / block); }
  size_t offset(size_t unit) const { return unit * pixels * block; }
  std::vector<int64_t> dims;
  size_t n, c, pixels, block, threads, units;
};

// each runs f(unit) for every unit, a contiguous range of them a task.
template <class F>
void each(Call &call, const Shape &s, const F &f) {
  size_t tasks = std::min(s.units, s.threads == 1 ? size_t(1) : s.threads * 4);
  call.parallel(tasks, [&](size_t t) {
    for (size_t u = s.units * t / tasks; u < s.units * (t + 1) / tasks; u++) f(u);
  });
}

// Statistics: x → mean, biased variance of every channel.
class Statistics {
 public:
  explicit Statistics(const Attributes &a) : s_(a) {}
  void run(Call &call) {
    if (s_.block == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *x = call.input(0);
    float *mean = call.temporary(s_.n * s_.c), *m2 = call.temporary(s_.n * s_.c);
    each(call, s_, [&](size_t u) {
      size_t at = s_.image(u) * s_.c + s_.channel(u);
      moments<B>(x + s_.offset(u), s_.pixels, mean + at, m2 + at);
    });
    combine_moments(mean, m2, s_.n, s_.c, s_.pixels, call.output(0, {int64_t(s_.c)}), call.output(1, {int64_t(s_.c)}));
  }
  Shape s_;
};

// Norm: x, mean, variance, γ, β and perhaps r →
// act(γ·(x − mean)/√(variance + eps) + β + r).
class Norm {
 public:
  explicit Norm(const Attributes &a) : s_(a), eps_(a.number("eps")), relu_(a.integer("relu") != 0) {}
  void run(Call &call) {
    if (s_.block == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *x = call.input(0), *mean = call.input(1), *var = call.input(2);
    const float *gamma = call.input(3), *beta = call.input(4), *r = call.input(5);
    float *y = call.output(0, s_.dims);
    each(call, s_, [&](size_t u) {
      size_t c = s_.channel(u), o = s_.offset(u);
      float a[B], b[B];
      for (int l = 0; l < B; l++) {
        a[l] = gamma[c + l] / std::sqrt(var[c + l] + eps_);
        b[l] = beta[c + l] - a[l] * mean[c + l];
      }
      const float *__restrict xs = x + o;
      float *__restrict ys = y + o;
      const float low = relu_ ? 0.0f : -INFINITY;
      if (r != nullptr) {
        const float *__restrict rs = r + o;
        for (size_t p = 0; p < s_.pixels; p++)
          for (int l = 0; l < B; l++) {
            float v = a[l] * xs[p * B + l] + b[l] + rs[p * B + l];
            ys[p * B + l] = v > low || v != v ? v : low;
          }
      } else {
        for (size_t p = 0; p < s_.pixels; p++)
          for (int l = 0; l < B; l++) {
            float v = a[l] * xs[p * B + l] + b[l];
            ys[p * B + l] = v > low || v != v ? v : low;
          }
      }
    });
  }
  Shape s_;
  float eps_;
  bool relu_;
};

// NormGrad: dy, x, γ, mean, variance and perhaps a, y, Σg, Σg·(x − mean) →
// dx, dγ, dβ and perhaps g. The gradient that reaches the norm is
// g = [y > 0]·(dy + a): y is the output of a rectifier behind the norm, a a
// gradient that has arrived by another way. Given sums are those of g.
class NormGrad {
 public:
  explicit NormGrad(const Attributes &a) : s_(a), eps_(a.number("eps")) {}
  void run(Call &call) {
    if (s_.block == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *dy = call.input(0), *x = call.input(1), *gamma = call.input(2), *mean = call.input(3), *var = call.input(4);
    const float *add = call.input(5), *y = call.input(6), *sum = call.input(7), *dot = call.input(8);
    float *dx = call.output(0, s_.dims);
    float *dgamma = call.output(1, {int64_t(s_.c)}), *dbeta = call.output(2, {int64_t(s_.c)});
    float *g = call.output(3, s_.dims);
    const bool finish = add != nullptr || y != nullptr;
    if (finish && g == nullptr) g = dx;  // holds g between the two passes
    if (sum == nullptr) {
      float *sums = call.temporary(s_.n * s_.c), *dots_ = call.temporary(s_.n * s_.c);
      each(call, s_, [&](size_t u) {
        size_t o = s_.offset(u), at = s_.image(u) * s_.c + s_.channel(u);
        if (!finish) {
          dots<B>(dy + o, x + o, mean + s_.channel(u), s_.pixels, sums + at, dots_ + at);
          return;
        }
        complete<B>(dy + o, add ? add + o : nullptr, y ? y + o : nullptr, x + o, mean + s_.channel(u), g + o, sums + at, dots_ + at);
      });
      combine_sums(sums, s_.n, s_.c, dbeta);
      combine_sums(dots_, s_.n, s_.c, dgamma);
      if (finish) dy = g;
    } else {
      for (size_t k = 0; k < s_.c; k++) dbeta[k] = sum[k], dgamma[k] = dot[k];
    }
    const double m = double(s_.n) * double(s_.pixels);
    float *a = call.temporary(3 * s_.c), *b = a + s_.c, *c = b + s_.c;
    for (size_t k = 0; k < s_.c; k++) {
      double inv = 1 / std::sqrt(double(var[k]) + double(eps_));
      double slope = -inv * inv * dgamma[k] / m;  // of x, before the factor γ·inv
      a[k] = float(gamma[k] * inv);
      b[k] = float(gamma[k] * inv * slope);
      c[k] = float(gamma[k] * inv * (-dbeta[k] / m - slope * mean[k]));
      dgamma[k] = float(dgamma[k] * inv);
    }
    each(call, s_, [&](size_t u) {
      size_t o = s_.offset(u), ch = s_.channel(u);
      float av[B], bv[B], cv[B];
      for (int l = 0; l < B; l++) av[l] = a[ch + l], bv[l] = b[ch + l], cv[l] = c[ch + l];
      const float *gs = dy + o;
      const float *__restrict xs = x + o;
      float *ds = dx + o;
      for (size_t p = 0; p < s_.pixels; p++)
        for (int l = 0; l < B; l++) ds[p * B + l] = av[l] * gs[p * B + l] + (bv[l] * xs[p * B + l] + cv[l]);
    });
  }

  // complete writes g of a unit and sums it up.
  template <int B>
  void complete(const float *dy, const float *add, const float *y, const float *x, const float *mean, float *g, float *sum, float *dot) const {
    // A few pixels at a time stay in the registers and the nearest cache.
    const size_t step = 64;
    float total[B] = {}, totals[B] = {};
    for (size_t p = 0; p < s_.pixels; p += step) {
      size_t n = std::min(step, s_.pixels - p);
      float *gp = g + p * B;
      const float *d = dy + p * B;
      if (add != nullptr && y != nullptr) {
        const float *a = add + p * B, *yp = y + p * B;
        for (size_t i = 0; i < n * B; i++) gp[i] = yp[i] > 0 ? d[i] + a[i] : 0.0f;
      } else if (add != nullptr) {
        const float *a = add + p * B;
        for (size_t i = 0; i < n * B; i++) gp[i] = d[i] + a[i];
      } else {
        const float *yp = y + p * B;
        for (size_t i = 0; i < n * B; i++) gp[i] = yp[i] > 0 ? d[i] : 0.0f;
      }
      float s1[B], s2[B];
      dots<B>(gp, x + p * B, mean, n, s1, s2);
      for (int l = 0; l < B; l++) total[l] += s1[l], totals[l] += s2[l];
    }
    for (int l = 0; l < B; l++) sum[l] = total[l], dot[l] = totals[l];
  }

  Shape s_;
  float eps_;
};

Operator<Statistics> statistics("Statistics", 1, 1, 2, 2);
Operator<Norm> norm("Norm", 6, 5, 1, 1);
Operator<NormGrad> norm_grad("NormGrad", 9, 5, 4, 3);

}  // namespace
}  // namespace ortrain
