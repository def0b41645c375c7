// The product of two matrices, on which convolutions and cuBLAS rest.
//
// Both factors are first copied into strips, of rows of the left one and of
// columns of the right one, which the innermost loop then reads in order; the
// copies convert element types and undo transposition on the way. Sums run over
// blocks of 1,024 products, which bounds the error of long ones as a device's
// split sums do.
#pragma once
#include "numbers.h"
#include "parallel.h"
#include <memory>
#include <vector>

namespace virtualgpu __attribute__((visibility("hidden"))) {

constexpr int64_t stripRows = 4, blockDepth = 1024;
template <class T> constexpr int64_t stripColumns = 64 / sizeof(T);

// tile adds a strip of rows times a strip of columns to sum, stripRows by
// stripColumns.
template <class T> void tile(int64_t depth, const T *a, const T *b, T *sum) {
  constexpr int64_t width = 32 / sizeof(T);
  typedef T vector __attribute__((vector_size(32), aligned(4), may_alias));
  vector s[stripRows][2];
  for (int r = 0; r < stripRows; r++)
    for (int c = 0; c < 2; c++) s[r][c] = vector{};
  for (int64_t p = 0; p < depth; p++, a += stripRows, b += 2 * width) {
    vector left = *(const vector *)b, right = *(const vector *)(b + width);
    for (int r = 0; r < stripRows; r++) {
      s[r][0] += a[r] * left;
      s[r][1] += a[r] * right;
    }
  }
  for (int r = 0; r < stripRows; r++)
    for (int c = 0; c < 2; c++) *(vector *)(sum + (r * 2 + c) * width) += s[r][c];
}

// product computes an m×n matrix of sums over k: a(i, p) and b(p, j) give the
// factors' elements, put(i, j, sum) takes the results. It uses one thread.
template <class T, class A, class B, class Put>
void product(int64_t m, int64_t n, int64_t k, A a, B b, Put put) {
  constexpr int64_t cols = stripColumns<T>;
  int64_t strips = (m + stripRows - 1) / stripRows;
  std::vector<T> left(size_t(strips * stripRows * k));
  for (int64_t i = 0; i < m; i++) {
    T *to = left.data() + i / stripRows * stripRows * k + i % stripRows;
    for (int64_t p = 0; p < k; p++) to[p * stripRows] = a(i, p);
  }
  std::vector<T> right(size_t(k * cols)), sums(size_t(strips * stripRows * cols));
  for (int64_t first = 0; first < n; first += cols) {
    int64_t some = std::min(cols, n - first);
    for (int64_t p = 0; p < k; p++) {
      T *to = right.data() + p * cols;
      for (int64_t j = 0; j < some; j++) to[j] = b(p, first + j);
      for (int64_t j = some; j < cols; j++) to[j] = 0;
    }
    std::fill(sums.begin(), sums.end(), T(0));
    for (int64_t p = 0; p < k; p += blockDepth)
      for (int64_t s = 0; s < strips; s++)
        tile(std::min(blockDepth, k - p), left.data() + s * stripRows * k + p * stripRows, right.data() + p * cols,
              sums.data() + s * stripRows * cols);
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < some; j++) put(i, first + j, sums[size_t(i * cols + j)]);
  }
}

} // namespace virtualgpu
