// Elements as the CUDA libraries store them: float, double, half, bfloat16 and
// a few integers. Half and bfloat16 are converted in software, so that the
// stand-ins run on any processor; a compiler turns the float case into nothing.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace virtualgpu __attribute__((visibility("hidden"))) {

enum class Type { f32, f64, f16, bf16, i8, u8, i32, i64, unknown };

inline size_t sizeOf(Type t) {
  switch (t) {
  case Type::f64: case Type::i64: return 8;
  case Type::f32: case Type::i32: return 4;
  case Type::f16: case Type::bf16: return 2;
  case Type::i8: case Type::u8: return 1;
  default: return 0;
  }
}

// isReal says whether the libraries compute in this type.
inline bool isReal(Type t) { return t == Type::f32 || t == Type::f64 || t == Type::f16 || t == Type::bf16; }

inline float fromBits(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
inline uint32_t toBits(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }

struct Half { uint16_t bits; };
struct BFloat16 { uint16_t bits; };

// A half's exponent field counts from 15, a float's from 127. Shifted into a
// float's fields it is therefore 2¹¹² too small, subnormal numbers included.
inline float toFloat(Half h) {
  uint32_t sign = uint32_t(h.bits & 0x8000) << 16, rest = uint32_t(h.bits & 0x7fff) << 13;
  if ((h.bits & 0x7c00) == 0x7c00) return fromBits(sign | 0x7f800000 | rest); // infinite, or not a number
  return fromBits(sign | toBits(fromBits(rest) * 0x1p112f));
}

inline Half toHalf(float f) {
  uint32_t u = toBits(f);
  uint16_t sign = uint16_t(u >> 16 & 0x8000);
  u &= 0x7fffffff;
  if (u > 0x7f800000) return {uint16_t(sign | 0x7fff)};
  if (u >= 0x477ff000) return {uint16_t(sign | 0x7c00)}; // 65520 and more round to infinity
  if (u < 0x38800000) { // below 2⁻¹⁴: multiples of 2⁻²⁴, rounded by the sum with 1/2
    float sum = fromBits(u) + 0.5f;
    return {uint16_t(sign | (toBits(sum) - toBits(0.5f)))};
  }
  u += 0xfff + (u >> 13 & 1); // to the nearest, ties to even
  return {uint16_t(sign | ((u - 0x38000000) >> 13))};
}

inline float toFloat(BFloat16 b) { return fromBits(uint32_t(b.bits) << 16); }

inline BFloat16 toBFloat16(float f) {
  uint32_t u = toBits(f);
  if ((u & 0x7fffffff) > 0x7f800000) return {uint16_t(u >> 16 | 0x40)};
  return {uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

// toTF32 rounds a float to the 10 bits of its fraction that a tensor core takes.
inline float toTF32(float f) {
  uint32_t u = toBits(f);
  return (u & 0x7f800000) == 0x7f800000 ? f : fromBits((u + 0x1000) & 0xffffe000);
}

// emulatesTF32 says whether float32 loses precision where a library's caller
// lets it, as it does on a device. Otherwise results can be compared closely.
inline bool emulatesTF32() {
  const char *s = getenv("VIRTUALGPU_TF32");
  return s && *s == '1';
}

// read and write convert between an element and the type that is computed in.
template <class C> inline C read(const float *p) { return C(*p); }
template <class C> inline C read(const double *p) { return C(*p); }
template <class C> inline C read(const Half *p) { return C(toFloat(*p)); }
template <class C> inline C read(const BFloat16 *p) { return C(toFloat(*p)); }
template <class C> inline void write(float *p, C v) { *p = float(v); }
template <class C> inline void write(double *p, C v) { *p = double(v); }
template <class C> inline void write(Half *p, C v) { *p = toHalf(float(v)); }
template <class C> inline void write(BFloat16 *p, C v) { *p = toBFloat16(float(v)); }

// withType calls f with a null pointer of the element's C++ type; false where
// the libraries do not compute in it.
template <class F> bool withType(Type t, F f) {
  switch (t) {
  case Type::f32: f((float *)nullptr); return true;
  case Type::f64: f((double *)nullptr); return true;
  case Type::f16: f((Half *)nullptr); return true;
  case Type::bf16: f((BFloat16 *)nullptr); return true;
  default: return false;
  }
}

} // namespace virtualgpu
