// The kernels of the library, in one module.
#include "layout.cuh"
#include "norm.cuh"
#include "pool.cuh"
#include "update.cuh"
