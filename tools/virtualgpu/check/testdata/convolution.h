// Convolutions from their definition.
#pragma once
#include "reference.h"

struct Geometry {
  std::vector<int> before, after, stride, dilation;
  int groups;
  bool flipped;
};

// eachTerm calls f(x index, w index, y index) for every product of a convolution.
inline void eachTerm(const Geometry &g, const Array &x, const Array &w, const Array &y,
                     std::function<void(const std::vector<int> &, const std::vector<int> &, const std::vector<int> &)> f) {
  int perGroup = w.sizes[0] / g.groups, channels = w.sizes[1];
  y.each([&](const std::vector<int> &yi) {
    std::vector<int> tap(w.sizes.begin() + 1, w.sizes.end());
    Array taps(kFloat, tap);
    taps.each([&](const std::vector<int> &ti) {
      std::vector<int> xi = {yi[0], yi[1] / perGroup * channels + ti[0]}, wi = {yi[1], ti[0]};
      for (size_t a = 0; a < g.stride.size(); a++) {
        int t = g.flipped ? w.sizes[a + 2] - 1 - ti[a + 1] : ti[a + 1];
        int at = yi[a + 2] * g.stride[a] - g.before[a] + t * g.dilation[a];
        if (at < 0 || at >= x.sizes[a + 2]) return;
        xi.push_back(at);
        wi.push_back(ti[a + 1]);
      }
      f(xi, wi, yi);
    });
  });
}

// Sums holds, for each element of an array, a sum and the sum of the sizes of
// its terms.
struct Sums {
  Array value, size;
  explicit Sums(const Array &like) : value(kDouble, like.sizes), size(kDouble, like.sizes) {
    value.each([&](const std::vector<int> &at) { value.set(at, 0), size.set(at, 0); });
  }
  void add(const std::vector<int> &at, double v) {
    value.set(at, value(at) + v);
    size.set(at, size(at) + std::abs(v));
  }
};

// randomGeometry picks one, and the sizes of x, w and y.
inline Geometry randomGeometry(size_t rank, bool symmetric, std::vector<int> &x, std::vector<int> &w, std::vector<int> &y) {
  Geometry g;
  g.groups = pickOf({1, 1, 2, 3});
  g.flipped = pick(0, 3) == 0;
  int channels = pick(1, 4), filters = g.groups * pick(1, 5);
  x = {pick(1, 3), g.groups * channels}, w = {filters, channels}, y = {x[0], filters};
  for (size_t a = 0; a < rank; a++) {
    g.stride.push_back(pick(1, 3)), g.dilation.push_back(pick(1, 2));
    g.before.push_back(pick(0, 2)), g.after.push_back(symmetric ? g.before[a] : pick(0, 2));
    w.push_back(pick(1, 4));
    int reach = (w.back() - 1) * g.dilation[a] + 1;
    x.push_back(std::max(1, reach - g.before[a] - g.after[a]) + pick(0, 6));
    y.push_back((x.back() + g.before[a] + g.after[a] - reach) / g.stride[a] + 1);
  }
  return g;
}
