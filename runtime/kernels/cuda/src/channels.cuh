// A map with channels last is a matrix: a row for every pixel of every image, a
// column for every channel. A block of threads works on some neighbouring
// columns and a range of rows; threads side by side take packs of a row.
#pragma once

#include "numbers.cuh"

constexpr int kThreads = 256;

struct Share {
  int column;            // first channel of this thread
  bool inside;           // whether there is such a channel
  long long first, end;  // rows of the block
};

// share divides rows × channels: blockIdx.x numbers groups of columns,
// blockIdx.y ranges of `per` rows.
template <int V>
__device__ inline Share share(long long rows, int channels, long long per) {
  Share s;
  s.column = (int(blockIdx.x) * int(blockDim.x) + int(threadIdx.x)) * V;
  s.inside = s.column < channels;
  s.first = (long long)blockIdx.y * per;
  s.end = s.first + per < rows ? s.first + per : rows;
  return s;
}
