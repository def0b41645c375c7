// Sums over the batch, put together from one part an image and channel. The
// parts are added in the order of the images, in double precision, so the
// result does not depend on how the work was divided.
#pragma once

#include <cstddef>

namespace ortrain {

// combine_moments turns means and squared distances of n images (n × c each)
// into the batch's mean and biased variance.
inline void combine_moments(const float *mean, const float *m2, size_t n, size_t c, size_t pixels, float *out_mean, float *out_var) {
  for (size_t k = 0; k < c; k++) {
    double m = 0;
    for (size_t i = 0; i < n; i++) m += mean[i * c + k];
    m /= double(n);
    double s = 0;
    for (size_t i = 0; i < n; i++) {
      double d = mean[i * c + k] - m;
      s += m2[i * c + k] + double(pixels) * d * d;
    }
    out_mean[k] = float(m);
    out_var[k] = float(s / (double(n) * double(pixels)));
  }
}

// combine_sums adds n rows of c.
inline void combine_sums(const float *parts, size_t n, size_t c, float *out) {
  for (size_t k = 0; k < c; k++) {
    double s = 0;
    for (size_t i = 0; i < n; i++) s += parts[i * c + k];
    out[k] = float(s);
  }
}

}  // namespace ortrain
