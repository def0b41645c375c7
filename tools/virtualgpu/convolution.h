// Convolutions and their two gradients over dense tensors of one type.
//
// Each is a matrix product per image and group with the image's columns: one
// column for each position of the output, with all the values that the kernel
// sees there.
#pragma once
#include "matrix.h"

namespace virtualgpu __attribute__((visibility("hidden"))) {

// Convolution is a geometry: x N×C×D×H×W, w K×C/groups×kernel, y N×K×output;
// what has fewer axes has sizes of 1 in front.
struct Convolution {
  int64_t images, channels, filters, groups;
  int64_t input[3], kernel[3], output[3];
  int64_t before[3], after[3], stride[3], dilation[3]; // padding at both ends
  bool flipped = false;                                // true convolution: the kernel is read backwards
  bool tf32 = false;                                   // float32 factors are rounded as a tensor core does

  int64_t inputs() const { return input[0] * input[1] * input[2]; }
  int64_t positions() const { return output[0] * output[1] * output[2]; }
  int64_t taps() const { return channels / groups * kernel[0] * kernel[1] * kernel[2]; }
  double work() const { return 2. * double(images * filters * positions()) * double(taps()); }
  bool plain() const {
    for (int i = 0; i < 3; i++)
      if (kernel[i] != 1 || stride[i] != 1 || before[i] || after[i]) return false;
    return true;
  }
};

// eachTap calls f(row of columns, offset in the image, step, first, last) for
// every row of an image's columns and every row of the output in it: positions
// first to last of that row lie inside the image.
template <class F> void eachTap(const Convolution &c, F f) {
  int64_t row = 0;
  for (int64_t channel = 0; channel < c.channels / c.groups; channel++)
    for (int64_t r = 0; r < c.kernel[0]; r++)
      for (int64_t s = 0; s < c.kernel[1]; s++)
        for (int64_t t = 0; t < c.kernel[2]; t++, row++) {
          int64_t tap[3] = {r, s, t}, shift[3];
          for (int i = 0; i < 3; i++)
            shift[i] = (c.flipped ? c.kernel[i] - 1 - tap[i] : tap[i]) * c.dilation[i] - c.before[i];
          int64_t step = c.stride[2], first = 0, last = c.output[2];
          while (first < last && first * step + shift[2] < 0) first++;
          while (first < last && (last - 1) * step + shift[2] >= c.input[2]) last--;
          for (int64_t d = 0; d < c.output[0]; d++)
            for (int64_t h = 0; h < c.output[1]; h++) {
              int64_t y[2] = {d * c.stride[0] + shift[0], h * c.stride[1] + shift[1]};
              bool inside = y[0] >= 0 && y[0] < c.input[0] && y[1] >= 0 && y[1] < c.input[1];
              int64_t at = (row * c.output[0] + d) * c.output[1] + h;
              int64_t from = ((channel * c.input[0] + y[0]) * c.input[1] + y[1]) * c.input[2] + shift[2];
              f(at * c.output[2], from, step, inside ? first : 0, inside ? last : 0);
            }
        }
}

// columns fills taps×positions with what the kernel sees of one group's image.
template <class T> void columns(const Convolution &c, const T *x, T *to) {
  eachTap(c, [&](int64_t at, int64_t from, int64_t step, int64_t first, int64_t last) {
    for (int64_t i = 0; i < first; i++) to[at + i] = 0;
    for (int64_t i = first; i < last; i++) to[at + i] = x[from + i * step];
    for (int64_t i = last; i < c.output[2]; i++) to[at + i] = 0;
  });
}

// addColumns adds taps×positions to where they came from.
template <class T> void addColumns(const Convolution &c, const T *from, T *x) {
  eachTap(c, [&](int64_t at, int64_t to, int64_t step, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) x[to + i * step] += from[at + i];
  });
}

template <class T> void forward(const Convolution &c, const T *x, const T *w, T *y) {
  int64_t group = c.filters / c.groups, positions = c.positions(), taps = c.taps();
  parallel(c.images * c.groups, c.work(), [&](int64_t part) {
    int64_t g = part % c.groups;
    const T *image = x + part * (c.channels / c.groups) * c.inputs();
    std::vector<T> seen;
    if (!c.plain()) {
      seen.resize(size_t(taps * positions));
      columns(c, image, seen.data());
      image = seen.data();
    }
    const T *filters = w + g * group * taps;
    T *out = y + part * group * positions;
    product<T>(group, positions, taps, [&](int64_t i, int64_t p) { return filters[i * taps + p]; },
               [&](int64_t p, int64_t j) { return image[p * positions + j]; },
               [&](int64_t i, int64_t j, T v) { out[i * positions + j] = v; });
  });
}

// backwardData computes the gradient of the input from that of the output.
template <class T> void backwardData(const Convolution &c, const T *dy, const T *w, T *dx) {
  int64_t group = c.filters / c.groups, positions = c.positions(), taps = c.taps();
  parallel(c.images * c.groups, c.work(), [&](int64_t part) {
    int64_t g = part % c.groups, size = (c.channels / c.groups) * c.inputs();
    const T *filters = w + g * group * taps, *grad = dy + part * group * positions;
    T *image = dx + part * size;
    std::vector<T> seen(size_t(taps * positions));
    product<T>(taps, positions, group, [&](int64_t i, int64_t p) { return filters[p * taps + i]; },
               [&](int64_t p, int64_t j) { return grad[p * positions + j]; },
               [&](int64_t i, int64_t j, T v) { seen[size_t(i * positions + j)] = v; });
    std::fill(image, image + size, T(0));
    addColumns(c, seen.data(), image);
  });
}

// backwardFilter computes the gradient of the filters. The images are summed
// in a fixed number of parts, whatever the threads, so that runs agree.
template <class T> void backwardFilter(const Convolution &c, const T *x, const T *dy, T *dw) {
  int64_t group = c.filters / c.groups, positions = c.positions(), taps = c.taps(), size = c.filters * taps;
  int64_t parts = std::min<int64_t>(c.images, 8);
  std::vector<T> sums(size_t(parts * size));
  parallel(parts, c.work(), [&](int64_t part) {
    std::vector<T> seen(c.plain() ? 0 : size_t(taps * positions));
    for (int64_t n = part; n < c.images; n += parts)
      for (int64_t g = 0; g < c.groups; g++) {
        const T *image = x + (n * c.channels + g * (c.channels / c.groups)) * c.inputs();
        const T *grad = dy + (n * c.filters + g * group) * positions;
        T *out = sums.data() + part * size + g * group * taps;
        if (!c.plain()) {
          columns(c, image, seen.data());
          image = seen.data();
        }
        product<T>(group, taps, positions, [&](int64_t i, int64_t p) { return grad[i * positions + p]; },
                   [&](int64_t p, int64_t j) { return image[j * positions + p]; },
                   [&](int64_t i, int64_t j, T v) { out[i * taps + j] += v; });
      }
  });
  std::fill(dw, dw + size, T(0));
  for (int64_t part = 0; part < parts; part++)
    for (int64_t i = 0; i < size; i++) dw[i] += sums[size_t(part * size + i)];
}

} // namespace virtualgpu
