// Layouts: N matrices are transposed, each from channels × pixels to pixels ×
// channels or back, by way of a tile on the chip, so that both sides are read and
// written along their rows.
#pragma once

#include "numbers.cuh"

// transposed: matrices × rows × columns → matrices × columns × rows. Blocks of 32
// × 8 threads do 32 × 32 elements; blockIdx.x numbers tiles of a matrix,
// blockIdx.y matrices.
template <class T, class U>
__device__ inline void transposed(const T *x, U *y, int matrices, int rows, int columns) {
  __shared__ float tile[32][33];
  const int across = (columns + 31) / 32;
  const int r0 = int(blockIdx.x) / across * 32, c0 = int(blockIdx.x) % across * 32;
  for (int m = blockIdx.y; m < matrices; m += gridDim.y) {
    const long long at = (long long)m * rows * columns;
    for (int i = threadIdx.y; i < 32; i += 8) {
      const int r = r0 + i, c = c0 + threadIdx.x;
      if (r < rows && c < columns) tile[i][threadIdx.x] = widen(x[at + (long long)r * columns + c]);
    }
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += 8) {
      const int r = r0 + threadIdx.x, c = c0 + i;
      if (r < rows && c < columns) y[at + (long long)c * rows + r] = narrow<U>(tile[threadIdx.x][i]);
    }
    __syncthreads();
  }
}
#define TRANSPOSED(NAME, T, U)                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) NAME(const T *x, U *y, int matrices, int rows, int columns) { \
    transposed(x, y, matrices, rows, columns);                                                                    \
  }
TRANSPOSED(transposed_float, float, float)
TRANSPOSED(transposed_half, half, half)
TRANSPOSED(transposed_half_float, half, float)
