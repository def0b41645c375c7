// How the kernels on channels divide their work: see channels.cuh.
#pragma once

#include <algorithm>

#include "op.h"

namespace ortrain {

// Rows describes a map with channels last as a matrix of pixels × channels.
struct Rows {
  Rows(const Attributes &a, bool half) : half(half) {
    dims = a.ints("shape", 4);
    channels = dims[1];
    rows = dims[0] * dims[2] * dims[3];
    const int64_t packs = channels / pack(half, channels);
    block.x = 1;
    while (block.x < 32 && block.x < packs) block.x *= 2;
    block.y = 256 / block.x;
    grid.x = unsigned((packs + block.x - 1) / block.x);
    // Enough blocks for a large device, and rows enough for a block to be worth
    // it. The same on every device, so that sums are the same.
    constexpr int64_t kBlocks = 1056, kLeast = 4;
    const int64_t most = std::max<int64_t>(rows / (kLeast * block.y), 1);
    const int64_t parts = std::min(std::max<int64_t>(kBlocks / grid.x, 1), most);
    per = (rows + parts - 1) / parts;
    grid.y = unsigned((rows + per - 1) / per);
  }
  bool half;
  std::vector<int64_t> dims;
  int64_t channels, rows;
  long long per;
  Dim3 grid, block;
  // joining is the grid of the kernels that put the parts together.
  Dim3 joining() const { return {unsigned((channels + 31) / 32), 1, 1}; }
};

constexpr Dim3 kJoiningBlock{32, 8, 1};

}  // namespace ortrain
