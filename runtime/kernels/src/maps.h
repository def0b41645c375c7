// Loops over one block of channels of one image: h·w pixels of B floats. The
// compiler turns the innermost loops into vector instructions.
#pragma once

#include <cstddef>

namespace ortrain {

// Accumulators break the chain of additions, so that several run at a time.
constexpr int kChains = 4;

// moments writes the mean and the sum of squared distances from it of every
// channel of a block.
template <int B>
inline void moments(const float *x, size_t pixels, float *mean, float *m2) {
  float acc[kChains][B] = {};
  size_t p = 0;
  for (; p + kChains <= pixels; p += kChains)
    for (int k = 0; k < kChains; k++)
      for (int l = 0; l < B; l++) acc[k][l] += x[(p + k) * B + l];
  for (; p < pixels; p++)
    for (int l = 0; l < B; l++) acc[0][l] += x[p * B + l];
  float m[B];
  for (int l = 0; l < B; l++) m[l] = ((acc[0][l] + acc[1][l]) + (acc[2][l] + acc[3][l])) / float(pixels);
  float sq[kChains][B] = {};
  for (p = 0; p + kChains <= pixels; p += kChains)
    for (int k = 0; k < kChains; k++)
      for (int l = 0; l < B; l++) {
        float d = x[(p + k) * B + l] - m[l];
        sq[k][l] += d * d;
      }
  for (; p < pixels; p++)
    for (int l = 0; l < B; l++) {
      float d = x[p * B + l] - m[l];
      sq[0][l] += d * d;
    }
  for (int l = 0; l < B; l++) {
    mean[l] = m[l];
    m2[l] = (sq[0][l] + sq[1][l]) + (sq[2][l] + sq[3][l]);
  }
}

// dots writes Σ g and Σ g·(x − mean) of every channel of a block.
template <int B>
inline void dots(const float *g, const float *x, const float *mean, size_t pixels, float *sum, float *dot) {
  float s[kChains][B] = {}, d[kChains][B] = {};
  float m[B];
  for (int l = 0; l < B; l++) m[l] = mean[l];
  size_t p = 0;
  for (; p + kChains <= pixels; p += kChains)
    for (int k = 0; k < kChains; k++)
      for (int l = 0; l < B; l++) {
        float v = g[(p + k) * B + l];
        s[k][l] += v;
        d[k][l] += v * (x[(p + k) * B + l] - m[l]);
      }
  for (; p < pixels; p++)
    for (int l = 0; l < B; l++) {
      float v = g[p * B + l];
      s[0][l] += v;
      d[0][l] += v * (x[p * B + l] - m[l]);
    }
  for (int l = 0; l < B; l++) {
    sum[l] = (s[0][l] + s[1][l]) + (s[2][l] + s[3][l]);
    dot[l] = (d[0][l] + d[1][l]) + (d[2][l] + d[3][l]);
  }
}

// add_mask finishes a gradient in place: it adds what has arrived by another
// way (a, may be null) and keeps it where the rectifier's output y (may be
// null) is positive.
template <int B>
inline void add_mask(float *g, const float *a, const float *y, size_t pixels) {
  size_t n = pixels * B;
  if (a != nullptr && y != nullptr) {
    for (size_t i = 0; i < n; i++) g[i] = y[i] > 0 ? g[i] + a[i] : 0.0f;
  } else if (a != nullptr) {
    for (size_t i = 0; i < n; i++) g[i] += a[i];
  } else if (y != nullptr) {
    for (size_t i = 0; i < n; i++) g[i] = y[i] > 0 ? g[i] : 0.0f;
  }
}

}  // namespace ortrain
