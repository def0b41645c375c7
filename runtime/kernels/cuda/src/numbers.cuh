// Numbers in memory and in registers: float32, or float16 that is widened when
// read and rounded when written; all arithmetic is in float32. A pack is what
// one thread reads or writes at a time: 16 bytes, or one number where the
// channels do not fill packs.
//
// No header of CUDA is included, so that the compiler alone is enough.
#pragma once

struct half {
  unsigned short bits;
};

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(half x) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(x.bits));
  return f;
}

template <class T>
__device__ inline T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
  return x;
}
template <>
__device__ inline half narrow<half>(float x) {
  half h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
  return h;
}

// stored is x as it reads back once it has been written.
template <class T>
__device__ inline float stored(float x) {
  return widen(narrow<T>(x));
}

template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};

template <int V, class T>
__device__ inline void load(const T *p, float *x) {
  Pack<T, V> pack = *reinterpret_cast<const Pack<T, V> *>(p);
#pragma unroll
  for (int i = 0; i < V; i++) x[i] = widen(pack.v[i]);
}

template <int V, class T>
__device__ inline void store(T *p, const float *x) {
  Pack<T, V> pack;
#pragma unroll
  for (int i = 0; i < V; i++) pack.v[i] = narrow<T>(x[i]);
  *reinterpret_cast<Pack<T, V> *>(p) = pack;
}

// rectified keeps what is not a number.
__device__ inline float rectified(float x) { return x > 0 || x != x ? x : 0.0f; }

// KERNELS defines a kernel for the two types, each with whole packs and with
// single numbers: NAME_float4, NAME_float1, NAME_half8, NAME_half1.
#define KERNELS(NAME, PARAMETERS, ARGUMENTS)                                                                  \
  KERNEL(NAME##_float4, NAME, float, 4, PARAMETERS(float), ARGUMENTS)                                          \
  KERNEL(NAME##_float1, NAME, float, 1, PARAMETERS(float), ARGUMENTS)                                          \
  KERNEL(NAME##_half8, NAME, half, 8, PARAMETERS(half), ARGUMENTS)                                             \
  KERNEL(NAME##_half1, NAME, half, 1, PARAMETERS(half), ARGUMENTS)
#define KERNEL(SYMBOL, NAME, T, V, PARAMETERS, ARGUMENTS) \
  extern "C" __global__ void __launch_bounds__(256) SYMBOL PARAMETERS { NAME<T, V> ARGUMENTS; }
