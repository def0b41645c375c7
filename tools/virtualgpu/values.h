// The values that a register holds: how each type lies in a cell of 8 bytes.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "numbers.h"

namespace ptx {

// half is float16, computed in float32 and rounded; the compiler's type serves.
using half = _Float16;

// bfloat is the upper half of a float32.
struct bfloat {
  uint16_t bits = 0;
  bfloat() = default;
  explicit bfloat(float f) : bits(f != f ? 0x7fff : virtualgpu::toBFloat16(f).bits) {}
  explicit bfloat(double d) : bfloat(float(d)) {}
  explicit bfloat(int n) : bfloat(float(n)) {}
  operator float() const { return virtualgpu::toFloat(virtualgpu::BFloat16{bits}); }
  bfloat operator-() const { return bfloat(-float(*this)); }
  bfloat operator+(bfloat o) const { return bfloat(float(*this) + float(o)); }
  bfloat operator-(bfloat o) const { return bfloat(float(*this) - float(o)); }
  bfloat operator*(bfloat o) const { return bfloat(float(*this) * float(o)); }
  bfloat operator/(bfloat o) const { return bfloat(float(*this) / float(o)); }
};

template <class T, class Enable = void> struct Value;

template <class T> struct Value<T, std::enable_if_t<std::is_integral_v<T>>> {
  using Unsigned = std::make_unsigned_t<T>;
  static constexpr bool is_signed = std::is_signed_v<T>;
  // Wide is of twice the size.
  using Wide = std::conditional_t<
      sizeof(T) == 1, std::conditional_t<is_signed, int16_t, uint16_t>,
      std::conditional_t<sizeof(T) == 2, std::conditional_t<is_signed, int32_t, uint32_t>,
                         std::conditional_t<sizeof(T) == 4, std::conditional_t<is_signed, int64_t, uint64_t>,
                                            std::conditional_t<is_signed, __int128, unsigned __int128>>>>;
  static T get(uint64_t cell) { return T(cell); }
  // A narrow value is widened by its sign: a register may be wider.
  static uint64_t cell(T v) { return uint64_t(int64_t(v)) & (is_signed || sizeof(T) == 8 ? ~0ull : (1ull << 8 * sizeof(T) % 64) - 1); }
};

template <class T> struct Value<T, std::enable_if_t<!std::is_integral_v<T>>> {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  static T get(uint64_t cell) {
    Bits b = Bits(cell);
    T v;
    memcpy(static_cast<void *>(&v), &b, sizeof v);
    return v;
  }
  static uint64_t cell(T v) {
    Bits b;
    memcpy(&b, &v, sizeof v);
    return b;
  }
  template <class S> static T from(S v) {
    if constexpr (std::is_same_v<T, bfloat>) return bfloat(float(v));
    else return T(v);
  }
  static T fma(T a, T b, T c) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) return std::fma(a, b, c);
    else return from(double(a) * double(b) + double(c)); // the product is exact
  }
};

} // namespace ptx
