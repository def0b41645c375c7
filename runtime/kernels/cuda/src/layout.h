// Transposing the matrices of a map: see layout.cuh.
#pragma once

#include "op.h"

namespace ortrain {

// transpose turns `matrices` of rows × columns; the result may be float32 of
// float16.
void transpose(Stream stream, bool half, const void *x, bool half_result, void *y, int64_t matrices, int64_t rows, int64_t columns);

}  // namespace ortrain
