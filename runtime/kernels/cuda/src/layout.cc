#include "layout.h"

#include <algorithm>

namespace ortrain {
namespace {

DeviceKernel transposed_float("transposed_float"), transposed_half("transposed_half"), transposed_half_float("transposed_half_float");

// Conversion: a map N×C×H×W ↔ the same with channels last, under one declared
// shape.
template <bool to_last>
class Conversion {
 public:
  Conversion(const Attributes &a, bool half) : dims_(a.ints("shape", 4)), half_(half) {}
  void run(Call &call) {
    const int64_t pixels = dims_[2] * dims_[3];
    transpose(call.stream(), half_, call.input(0), half_, call.output(0, dims_), dims_[0], to_last ? dims_[1] : pixels, to_last ? pixels : dims_[1]);
  }

 private:
  std::vector<int64_t> dims_;
  bool half_;
};

Operators<Conversion<true>> to_channels_last("ToChannelsLast", "m", 1, "m", 1);
Operators<Conversion<false>> from_channels_last("FromChannelsLast", "m", 1, "m", 1);

}  // namespace

void transpose(Stream stream, bool half, const void *x, bool half_result, void *y, int64_t matrices, int64_t rows, int64_t columns) {
  const int64_t tiles = (rows + 31) / 32 * ((columns + 31) / 32);
  constexpr int64_t kMost = 65535;  // of a grid's second dimension
  const DeviceKernel &k = !half ? transposed_float : half_result ? transposed_half : transposed_half_float;
  k(stream, {unsigned(tiles), unsigned(std::min(matrices, kMost)), 1}, {32, 8, 1}, x, y, int(matrices), int(rows), int(columns));
}

}  // namespace ortrain
