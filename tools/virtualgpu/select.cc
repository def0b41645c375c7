// What instructions compute, by name and type.
#include <cfenv>
#include <cmath>
#include <functional>
#include <mutex>

#include "ptx.h"
#include "values.h"

namespace ptx {
namespace {

template <class F> void each(uint32_t m, F f) {
  if (m == ~0u) {
    for (int l = 0; l < lanes; l++) f(l);
  } else {
    for (; m; m &= m - 1) f(__builtin_ctz(m));
  }
}

template <class T> T get(const uint64_t *row, int l) { return Value<T>::get(row[l]); }
template <class T> void put(Row row, int l, T v) { row[l] = Value<T>::cell(v); }

// Results of floating-point instructions, with what their names ask for.
template <class T> T finish(const Instruction &i, T v) {
  if constexpr (std::is_same_v<T, float>) {
    if (i.ftz && std::fpclassify(v) == FP_SUBNORMAL) v = std::copysign(0.f, v);
    if (i.sat) v = v > 0 ? (v < 1 ? v : 1) : 0; // NaN becomes 0
  } else if constexpr (std::is_same_v<T, double>) {
    if (i.sat) v = v > 0 ? (v < 1 ? v : 1) : 0;
  }
  return v;
}

template <class T, class Op> void unary(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<T>(d, l, finish(i, Op()(get<T>(a, l)))); });
}
template <class T, class Op> void binary(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<T>(d, l, finish(i, Op()(get<T>(a, l), get<T>(b, l)))); });
}
template <class T, class Op> void ternary(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]), *c = w.in(i.from[2]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<T>(d, l, finish(i, Op()(get<T>(a, l), get<T>(b, l), get<T>(c, l)))); });
}

// rounded runs a function in another rounding mode.
template <int mode, Function f> void rounded(Warp &w, const Instruction &i, uint32_t m) {
  int before = fegetround();
  fesetround(mode);
  f(w, i, m);
  fesetround(before);
}
template <Function f> Function in_mode(const std::string &r) {
  if (r == "rz") return rounded<FE_TOWARDZERO, f>;
  if (r == "rm") return rounded<FE_DOWNWARD, f>;
  if (r == "rp") return rounded<FE_UPWARD, f>;
  return f;
}

template <class T> using U = typename Value<T>::Unsigned;

// Integers wrap; shifts clamp at the width.
template <class T> struct Add { T operator()(T a, T b) const { return T(U<T>(a) + U<T>(b)); } };
template <class T> struct Sub { T operator()(T a, T b) const { return T(U<T>(a) - U<T>(b)); } };
template <class T> struct MulLo { T operator()(T a, T b) const { return T(uint64_t(a) * uint64_t(b)); } };
template <class T> struct MulHi {
  T operator()(T a, T b) const { return T((typename Value<T>::Wide(a) * typename Value<T>::Wide(b)) >> (8 * sizeof(T))); }
};
template <class T> struct MadLo { T operator()(T a, T b, T c) const { return T(uint64_t(a) * uint64_t(b) + uint64_t(c)); } };
template <class T> struct MadHi { T operator()(T a, T b, T c) const { return Add<T>()(MulHi<T>()(a, b), c); } };
template <class T> struct Div { T operator()(T a, T b) const { return b == 0 ? T(-1) : std::is_signed_v<T> && b == T(-1) ? T(U<T>(0) - U<T>(a)) : T(a / b); } };
template <class T> struct Rem { T operator()(T a, T b) const { return b == 0 ? a : std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b); } };
template <class T> struct Min { T operator()(T a, T b) const { return a < b ? a : b; } };
template <class T> struct Max { T operator()(T a, T b) const { return a > b ? a : b; } };
template <class T> struct Neg { T operator()(T a) const { return T(U<T>(0) - U<T>(a)); } };
template <class T> struct Abs { T operator()(T a) const { return a < 0 ? T(U<T>(0) - U<T>(a)) : a; } };
template <class T> struct And { T operator()(T a, T b) const { return a & b; } };
template <class T> struct Or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct Xor { T operator()(T a, T b) const { return a ^ b; } };
template <class T> struct Not { T operator()(T a) const { return ~a; } };
template <class T> struct Copy { T operator()(T a) const { return a; } };

template <class T> struct FAdd { T operator()(T a, T b) const { return a + b; } };
template <class T> struct FSub { T operator()(T a, T b) const { return a - b; } };
template <class T> struct FMul { T operator()(T a, T b) const { return a * b; } };
template <class T> struct FDiv { T operator()(T a, T b) const { return a / b; } };
template <class T> struct FFma { T operator()(T a, T b, T c) const { return Value<T>::fma(a, b, c); } };
template <class T> struct FMin { T operator()(T a, T b) const { return a != a ? b : b != b ? a : a < b ? a : b; } };
template <class T> struct FMax { T operator()(T a, T b) const { return a != a ? b : b != b ? a : a > b ? a : b; } };
template <class T> struct FMinNaN { T operator()(T a, T b) const { return a != a ? a : b != b ? b : a < b ? a : b; } };
template <class T> struct FMaxNaN { T operator()(T a, T b) const { return a != a ? a : b != b ? b : a > b ? a : b; } };
template <class T> struct FNeg { T operator()(T a) const { return -a; } };
template <class T> struct FAbs { T operator()(T a) const { return a < T(0) || (a == T(0) && std::signbit(double(a))) ? -a : a; } };
template <class T> struct Sqrt { T operator()(T a) const { return T(std::sqrt(a)); } };
template <class T> struct Rcp { T operator()(T a) const { return T(1) / a; } };
template <class T> struct Rsqrt { T operator()(T a) const { return T(1 / std::sqrt(double(a))); } };
template <class T> struct Exp2 { T operator()(T a) const { return T(std::exp2(float(a))); } };
template <class T> struct Log2 { T operator()(T a) const { return T(std::log2(float(a))); } };
template <class T> struct Tanh { T operator()(T a) const { return T(std::tanh(float(a))); } };
template <class T> struct Sin { T operator()(T a) const { return T(std::sin(float(a))); } };
template <class T> struct Cos { T operator()(T a) const { return T(std::cos(float(a))); } };

template <class T> void mul_wide(Warp &w, const Instruction &i, uint32_t m) {
  using V = typename Value<T>::Wide;
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<V>(d, l, V(get<T>(a, l)) * V(get<T>(b, l))); });
}
template <class T> void mad_wide(Warp &w, const Instruction &i, uint32_t m) {
  using V = typename Value<T>::Wide;
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]), *c = w.in(i.from[2]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<V>(d, l, Add<V>()(V(get<T>(a, l)) * V(get<T>(b, l)), get<V>(c, l))); });
}
template <class T, bool left> void shift(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  constexpr uint32_t bits = 8 * sizeof(T);
  each(m, [&](int l) {
    uint32_t n = get<uint32_t>(b, l);
    T v = get<T>(a, l);
    if constexpr (left) put<T>(d, l, n >= bits ? T(0) : T(U<T>(v) << n));
    else put<T>(d, l, n >= bits ? (std::is_signed_v<T> && v < 0 ? T(-1) : T(0)) : T(v >> n));
  });
}

// Comparisons: with a suffix u also true of what cannot be ordered.
template <class T> bool compare(int how, T a, T b) {
  bool unordered = a != a || b != b;
  switch (how & 15) {
  case 0: return a == b;
  case 1: return !unordered && a != b;
  case 2: return a < b;
  case 3: return a <= b;
  case 4: return a > b;
  case 5: return a >= b;
  case 6: return unordered || a == b;
  case 7: return unordered || a != b;
  case 8: return unordered || a < b;
  case 9: return unordered || a <= b;
  case 10: return unordered || a > b;
  case 11: return unordered || a >= b;
  case 12: return !unordered;
  default: return unordered;
  }
}
int comparison(const std::string &s) {
  static const char *names[] = {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  for (int i = 0; i < 14; i++)
    if (s == names[i]) return i;
  if (s == "lo") return 2;
  if (s == "ls") return 3;
  if (s == "hi") return 4;
  if (s == "hs") return 5;
  throw Error("unknown comparison");
}
// number: the comparison, and in bits 4 and 5 how it is joined with source 2.
template <class T> void setp(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]), *c = w.in(i.from[2]);
  Row p = w.out(i.to[0]), q = i.to[1] >= 0 ? w.out(i.to[1]) : nullptr;
  int join = i.number >> 4;
  each(m, [&](int l) {
    bool r = compare(int(i.number), get<T>(a, l), get<T>(b, l)), s = !r, o = join ? c[l] & 1 : false;
    if (join == 1) r = r && o, s = s && o;
    if (join == 2) r = r || o, s = s || o;
    if (join == 3) r = r != o, s = s != o;
    p[l] = r;
    if (q) q[l] = s;
  });
}
template <class T, class D> void set(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<D>(d, l, compare(int(i.number), get<T>(a, l), get<T>(b, l)) ? (std::is_integral_v<D> ? D(-1) : D(1)) : D(0)); });
}
template <class T> void selp(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]), *p = w.in(i.from[2]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { put<T>(d, l, p[l] & 1 ? get<T>(a, l) : get<T>(b, l)); });
}

void pred(Warp &w, const Instruction &i, uint32_t m) { // number: and, or, xor, not, mov
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) {
    bool x = a[l] & 1, y = b[l] & 1;
    d[l] = i.number == 0 ? x && y : i.number == 1 ? x || y : i.number == 2 ? x != y : i.number == 3 ? !x : x;
  });
}

// Conversions. A float becomes an integer by the name's rounding, clamped; NaN
// becomes 0.
template <class D, class S, int rounding> void cvt(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) {
    S v = get<S>(a, l);
    if constexpr (std::is_integral_v<D> && std::is_integral_v<S>) {
      if (i.sat) {
        __int128 x = v, lo = std::numeric_limits<D>::min(), hi = std::numeric_limits<D>::max();
        put<D>(d, l, D(x < lo ? lo : x > hi ? hi : x));
      } else {
        put<D>(d, l, D(v));
      }
    } else if constexpr (std::is_integral_v<D>) {
      double x = double(v);
      x = rounding == 0 ? std::nearbyint(x) : rounding == 1 ? std::trunc(x) : rounding == 2 ? std::floor(x) : std::ceil(x);
      double lo = double(std::numeric_limits<D>::min()), hi = double(std::numeric_limits<D>::max());
      put<D>(d, l, x != x ? D(0) : x <= lo ? std::numeric_limits<D>::min() : x >= hi ? std::numeric_limits<D>::max() : D(x));
    } else if constexpr (std::is_same_v<D, S>) {
      double x = double(v);
      if (i.number) x = rounding == 0 ? std::nearbyint(x) : rounding == 1 ? std::trunc(x) : rounding == 2 ? std::floor(x) : std::ceil(x);
      put<D>(d, l, finish(i, D(x)));
    } else if constexpr (std::is_same_v<S, double> || std::is_integral_v<S>) {
      put<D>(d, l, finish(i, Value<D>::from(v)));
    } else {
      put<D>(d, l, finish(i, Value<D>::from(float(v))));
    }
  });
}
// Two floats to a pair: the first source is the upper half.
template <class D> void cvt_pair(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) {
    d[l] = Value<D>::cell(Value<D>::from(get<float>(b, l))) | Value<D>::cell(Value<D>::from(get<float>(a, l))) << 16;
  });
}

// Pairs of 16-bit floats.
template <class T, class Op, int n> void pairs(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[n > 1 ? 1 : 0]), *c = w.in(i.from[n > 2 ? 2 : 0]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) {
    uint64_t r = 0;
    for (int h = 0; h < 32; h += 16) {
      T x = Value<T>::get(a[l] >> h), y = Value<T>::get(b[l] >> h), z = Value<T>::get(c[l] >> h);
      T v;
      if constexpr (n == 1) v = Op()(x);
      else if constexpr (n == 2) v = Op()(x, y);
      else v = Op()(x, y, z);
      r |= Value<T>::cell(v) << h;
    }
    d[l] = r;
  });
}

// Memory.
enum Space { generic, shared_space, local_space, parameters, asynchronous };

template <class T, int space> uint8_t *at(Warp &w, uint64_t address, int l, size_t bytes) {
  auto outside = [&](const char *what) -> uint8_t * {
    char text[160];
    snprintf(text, sizeof text, "an access to %s: %zu bytes at %#llx", what, bytes, static_cast<unsigned long long>(address));
    throw Error(text);
  };
  Block &b = *w.block;
  if constexpr (space == shared_space) {
    if (address + bytes > b.shared.size()) return outside("shared memory that the kernel does not have");
    return b.shared.data() + address;
  } else if constexpr (space == local_space) {
    size_t size = b.kernel->local_bytes;
    if (address + bytes > size) return outside("local memory that the kernel does not have");
    return w.local.data() + l * size + address;
  } else if constexpr (space == parameters) {
    return reinterpret_cast<uint8_t *>(address);
  } else {
    auto *p = reinterpret_cast<uint8_t *>(address);
    if (address % (bytes > 16 ? 16 : bytes)) return outside("memory at an address that is not aligned");
    if (void *h = device::host(p, bytes)) return static_cast<uint8_t *>(h);
    if (p >= b.shared.data() && p + bytes <= b.shared.data() + b.shared.size()) return p;
    if (p >= w.local.data() && p + bytes <= w.local.data() + w.local.size()) return p;
    return outside("memory that is not the device's");
  }
}

template <class T, int space> void load(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  int n = 0;
  while (n < 4 && i.to[n] >= 0) n++;
  each(m, [&](int l) {
    const uint8_t *p = at<T, space>(w, a[l] + i.number, l, n * sizeof(T));
    for (int k = 0; k < n; k++) {
      T v;
      memcpy(&v, p + k * sizeof(T), sizeof(T));
      put<T>(w.out(i.to[k]), l, v);
    }
  });
}
template <class T, int space> void store(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  int n = i.from_count - 1;
  each(m, [&](int l) {
    uint8_t *p = at<T, space>(w, a[l] + i.number, l, n * sizeof(T));
    for (int k = 0; k < n; k++) {
      T v = get<T>(w.in(i.from[1 + k]), l);
      memcpy(p + k * sizeof(T), &v, sizeof(T));
    }
  });
}

std::mutex atomically;

// number is the address's offset; to[0] may be absent (red).
template <class T, int space, class Op> void atomic(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  std::lock_guard<std::mutex> hold(atomically);
  each(m, [&](int l) {
    uint8_t *p = at<T, space>(w, a[l] + i.number, l, sizeof(T));
    T old;
    memcpy(&old, p, sizeof old);
    T v = Op()(old, get<T>(w.in(i.from[1]), l), i.from_count > 2 ? get<T>(w.in(i.from[2]), l) : T{});
    memcpy(p, &v, sizeof v);
    if (i.to[0] >= 0) put<T>(w.out(i.to[0]), l, old);
  });
}
template <class T, class Op> struct Joined { T operator()(T old, T b, T) const { return Op()(old, b); } };
template <class T> struct Exchange { T operator()(T, T b, T) const { return b; } };
template <class T> struct Swap { T operator()(T old, T b, T c) const { return old == b ? c : old; } };
template <class T> struct Increment { T operator()(T old, T b, T) const { return old >= b ? T(0) : T(old + 1); } };
template <class T> struct Decrement { T operator()(T old, T b, T) const { return old == 0 || old > b ? b : T(old - 1); } };

template <int space, bool to_generic> void convert_address(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  Row d = w.out(i.to[0]);
  each(m, [&](int l) {
    uint64_t base = space == shared_space ? reinterpret_cast<uint64_t>(w.block->shared.data())
                    : space == local_space ? reinterpret_cast<uint64_t>(w.local.data()) + l * w.block->kernel->local_bytes
                                           : 0;
    d[l] = to_generic ? a[l] + base : a[l] - base;
  });
}

// cp.async copies at once; number is the destination's offset in low, the
// source's in high bits.
template <int n> void copy_async(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *d = w.in(i.from[0]), *s = w.in(i.from[1]);
  each(m, [&](int l) {
    size_t count = i.from_count > 3 ? std::min<size_t>(n, get<uint32_t>(w.in(i.from[3]), l)) : n;
    uint8_t *to = at<uint8_t, shared_space>(w, uint32_t(d[l]), l, n);
    memset(to, 0, n);
    if (count) memcpy(to, at<uint8_t, generic>(w, s[l] + i.number, l, n), count);
  });
}

// Lanes among one another.
template <int mode> void shuffle(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]), *b = w.in(i.from[1]), *c = w.in(i.from[2]);
  Row d = w.out(i.to[0]), p = i.to[1] >= 0 ? w.out(i.to[1]) : nullptr;
  uint64_t before[lanes];
  memcpy(before, a, sizeof before);
  each(m, [&](int l) {
    int by = b[l] & 31, clamp = c[l] & 31, segment = c[l] >> 8 & 31;
    int highest = (l & segment) | (clamp & ~segment), lowest = l & segment, j;
    bool valid;
    if (mode == 0) j = l - by, valid = j >= highest;
    else if (mode == 1) j = l + by, valid = j <= highest;
    else if (mode == 2) j = l ^ by, valid = j <= highest;
    else j = lowest | (by & ~segment), valid = j <= highest;
    if (!valid) j = l;
    d[l] = uint32_t(before[j]);
    if (p) p[l] = valid;
  });
}
template <int mode> void vote(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  Row d = w.out(i.to[0]);
  uint32_t yes = 0;
  each(m, [&](int l) { yes |= uint32_t(a[l] & 1) << l; });
  uint64_t r = mode == 0 ? yes : mode == 1 ? yes != 0 : mode == 2 ? yes == m : yes == 0 || yes == m;
  each(m, [&](int l) { d[l] = r; });
}
template <class T, class Op> void redux(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  Row d = w.out(i.to[0]);
  bool first = true;
  T sum{};
  each(m, [&](int l) {
    sum = first ? get<T>(a, l) : Op()(sum, get<T>(a, l));
    first = false;
  });
  each(m, [&](int l) { put<T>(d, l, sum); });
}
template <class T> void match_any(Warp &w, const Instruction &i, uint32_t m) {
  const uint64_t *a = w.in(i.from[0]);
  uint32_t result[lanes] = {};
  each(m, [&](int l) {
    each(m, [&](int k) { result[l] |= uint32_t(get<T>(a, l) == get<T>(a, k)) << k; });
  });
  Row d = w.out(i.to[0]);
  each(m, [&](int l) { d[l] = result[l]; });
}

// Bits.
template <class T> void bfe(Warp &w, const Instruction &i, uint32_t m) {
  constexpr unsigned bits = 8 * sizeof(T);
  each(m, [&](int l) {
    T a = get<T>(w.in(i.from[0]), l);
    unsigned position = w.in(i.from[1])[l] & 255, length = w.in(i.from[2])[l] & 255;
    U<T> r = position >= bits ? 0 : U<T>(a) >> position;
    if (length < bits) r &= length ? (U<T>(1) << length) - 1 : 0;
    if (std::is_signed_v<T> && length > 0) {
      unsigned top = std::min(position + length - 1, bits - 1);
      if (U<T>(a) >> top & 1 && length < bits) r |= ~U<T>(0) << std::min(length, bits - 1);
      if (position + length > bits && U<T>(a) >> (bits - 1) & 1) r |= position < bits ? ~(~U<T>(0) >> position) : ~U<T>(0);
    }
    put<T>(w.out(i.to[0]), l, T(r));
  });
}
template <class T> void bfi(Warp &w, const Instruction &i, uint32_t m) {
  constexpr unsigned bits = 8 * sizeof(T);
  each(m, [&](int l) {
    T a = get<T>(w.in(i.from[0]), l), b = get<T>(w.in(i.from[1]), l);
    unsigned position = w.in(i.from[2])[l] & 255, length = w.in(i.from[3])[l] & 255;
    T mask = length >= bits ? ~T(0) : (T(1) << length) - 1;
    if (position >= bits) mask = 0, position = 0;
    mask <<= position;
    put<T>(w.out(i.to[0]), l, (b & ~mask) | (T(a << position) & mask));
  });
}
void lop3(Warp &w, const Instruction &i, uint32_t m) {
  each(m, [&](int l) {
    uint32_t a = w.in(i.from[0])[l], b = w.in(i.from[1])[l], c = w.in(i.from[2])[l], t = w.in(i.from[3])[l], r = 0;
    for (int k = 0; k < 8; k++)
      if (t >> k & 1) r |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
    put<uint32_t>(w.out(i.to[0]), l, r);
  });
}
void prmt(Warp &w, const Instruction &i, uint32_t m) {
  each(m, [&](int l) {
    uint64_t bytes = uint32_t(w.in(i.from[0])[l]) | uint64_t(uint32_t(w.in(i.from[1])[l])) << 32;
    uint32_t how = w.in(i.from[2])[l], r = 0;
    for (int k = 0; k < 4; k++) {
      uint32_t pick = how >> (4 * k), byte = bytes >> (8 * (pick & 7)) & 255;
      if (pick & 8) byte = byte & 128 ? 255 : 0;
      r |= byte << (8 * k);
    }
    put<uint32_t>(w.out(i.to[0]), l, r);
  });
}
template <bool left, bool wraps> void funnel(Warp &w, const Instruction &i, uint32_t m) {
  each(m, [&](int l) {
    uint64_t v = uint32_t(w.in(i.from[0])[l]) | uint64_t(uint32_t(w.in(i.from[1])[l])) << 32;
    uint32_t n = w.in(i.from[2])[l];
    n = wraps ? n & 31 : std::min(n, 32u);
    put<uint32_t>(w.out(i.to[0]), l, left ? uint32_t(v << n >> 32) : uint32_t(v >> n));
  });
}
template <class T, int what> void count_bits(Warp &w, const Instruction &i, uint32_t m) {
  constexpr int bits = 8 * sizeof(T);
  each(m, [&](int l) {
    T a = get<T>(w.in(i.from[0]), l);
    uint64_t r = 0;
    if (what == 0) r = __builtin_popcountll(a);
    if (what == 1) r = a ? __builtin_clzll(a) - (64 - bits) : bits;
    if (what == 2)
      for (int k = 0; k < bits; k++) r |= uint64_t(a >> k & 1) << (bits - 1 - k);
    w.out(i.to[0])[l] = r;
  });
}

void pack(Warp &w, const Instruction &i, uint32_t m) { // number: bits of a part
  each(m, [&](int l) {
    uint64_t r = 0, mask = i.number == 64 ? ~0ull : (1ull << i.number) - 1;
    for (int k = 0; k < i.from_count; k++) r |= (w.in(i.from[k])[l] & mask) << (k * i.number);
    w.out(i.to[0])[l] = r;
  });
}
void unpack(Warp &w, const Instruction &i, uint32_t m) {
  each(m, [&](int l) {
    uint64_t v = w.in(i.from[0])[l], mask = (1ull << i.number) - 1;
    for (int k = 0; k < 4 && i.to[k] >= 0; k++) w.out(i.to[k])[l] = v >> (k * i.number) & mask;
  });
}
void dot4(Warp &w, const Instruction &i, uint32_t m) {
  each(m, [&](int l) {
    int32_t r = get<int32_t>(w.in(i.from[2]), l);
    for (int k = 0; k < 32; k += 8) r += int8_t(w.in(i.from[0])[l] >> k) * int8_t(w.in(i.from[1])[l] >> k);
    put<int32_t>(w.out(i.to[0]), l, r);
  });
}
void nothing(Warp &, const Instruction &, uint32_t) {}

// By type.
enum class Type { u8, u16, u32, u64, s8, s16, s32, s64, f16, f32, f64, bf16, f16x2, bf16x2, pred, none };
Type type(const std::string &s) {
  static const std::map<std::string, Type> types{
      {"u8", Type::u8}, {"b8", Type::u8}, {"u16", Type::u16}, {"b16", Type::u16}, {"u32", Type::u32}, {"b32", Type::u32},
      {"u64", Type::u64}, {"b64", Type::u64}, {"s8", Type::s8}, {"s16", Type::s16}, {"s32", Type::s32}, {"s64", Type::s64},
      {"f16", Type::f16}, {"f32", Type::f32}, {"f64", Type::f64}, {"bf16", Type::bf16}, {"f16x2", Type::f16x2},
      {"bf16x2", Type::bf16x2}, {"pred", Type::pred}};
  auto i = types.find(s);
  return i == types.end() ? Type::none : i->second;
}

#define INTEGERS(f) \
  switch (t) { \
  case Type::u8: return f<uint8_t>; case Type::u16: return f<uint16_t>; case Type::u32: return f<uint32_t>; case Type::u64: return f<uint64_t>; \
  case Type::s8: return f<int8_t>; case Type::s16: return f<int16_t>; case Type::s32: return f<int32_t>; case Type::s64: return f<int64_t>; \
  default: break; \
  }
#define FLOATS(f) \
  switch (t) { \
  case Type::f16: return f<half>; case Type::f32: return f<float>; case Type::f64: return f<double>; case Type::bf16: return f<bfloat>; \
  default: break; \
  }
#define FORM(name, kind, op) template <class T> constexpr Function name = kind<T, op<T>>;
FORM(add_i, binary, Add) FORM(sub_i, binary, Sub) FORM(mul_lo, binary, MulLo) FORM(mul_hi, binary, MulHi) FORM(mad_lo, ternary, MadLo)
FORM(mad_hi, ternary, MadHi) FORM(div_i, binary, Div) FORM(rem_i, binary, Rem) FORM(min_i, binary, Min) FORM(max_i, binary, Max)
FORM(neg_i, unary, Neg) FORM(abs_i, unary, Abs) FORM(and_i, binary, And) FORM(or_i, binary, Or) FORM(xor_i, binary, Xor) FORM(not_i, unary, Not)
FORM(copy_i, unary, Copy)
FORM(add_f, binary, FAdd) FORM(sub_f, binary, FSub) FORM(mul_f, binary, FMul) FORM(div_f, binary, FDiv) FORM(fma_f, ternary, FFma)
FORM(min_f, binary, FMin) FORM(max_f, binary, FMax) FORM(min_nan, binary, FMinNaN) FORM(max_nan, binary, FMaxNaN) FORM(neg_f, unary, FNeg)
FORM(abs_f, unary, FAbs) FORM(copy_f, unary, Copy) FORM(exp2_f, unary, Exp2) FORM(log2_f, unary, Log2) FORM(tanh_f, unary, Tanh)
FORM(sqrt_f, unary, Sqrt) FORM(rcp_f, unary, Rcp) FORM(rsqrt_f, unary, Rsqrt) FORM(sin_f, unary, Sin) FORM(cos_f, unary, Cos)
template <class T> constexpr Function shl = shift<T, true>;
template <class T> constexpr Function shr = shift<T, false>;
template <class T> constexpr Function setp_t = setp<T>;
template <class T> constexpr Function selp_t = selp<T>;

template <template <class> class Op, int n> Function pair_of(Type t) {
  if (t == Type::f16x2) return pairs<half, Op<half>, n>;
  if (t == Type::bf16x2) return pairs<bfloat, Op<bfloat>, n>;
  return nullptr;
}

template <class D, class S> Function cvt_by(int r) {
  if constexpr (std::is_integral_v<S> || (!std::is_integral_v<D> && !std::is_same_v<D, S>)) return cvt<D, S, 0>;
  else return r == 1 ? cvt<D, S, 1> : r == 2 ? cvt<D, S, 2> : r == 3 ? cvt<D, S, 3> : cvt<D, S, 0>;
}
template <class D> Function cvt_from(Type s, int r) {
  switch (s) {
  case Type::u8: return cvt_by<D, uint8_t>(r);
  case Type::u16: return cvt_by<D, uint16_t>(r);
  case Type::u32: return cvt_by<D, uint32_t>(r);
  case Type::u64: return cvt_by<D, uint64_t>(r);
  case Type::s8: return cvt_by<D, int8_t>(r);
  case Type::s16: return cvt_by<D, int16_t>(r);
  case Type::s32: return cvt_by<D, int32_t>(r);
  case Type::s64: return cvt_by<D, int64_t>(r);
  case Type::f16: return cvt_by<D, half>(r);
  case Type::f32: return cvt_by<D, float>(r);
  case Type::f64: return cvt_by<D, double>(r);
  case Type::bf16: return cvt_by<D, bfloat>(r);
  default: return nullptr;
  }
}
Function conversion(Type d, Type s, int r) {
  switch (d) {
  case Type::u8: return cvt_from<uint8_t>(s, r);
  case Type::u16: return cvt_from<uint16_t>(s, r);
  case Type::u32: return cvt_from<uint32_t>(s, r);
  case Type::u64: return cvt_from<uint64_t>(s, r);
  case Type::s8: return cvt_from<int8_t>(s, r);
  case Type::s16: return cvt_from<int16_t>(s, r);
  case Type::s32: return cvt_from<int32_t>(s, r);
  case Type::s64: return cvt_from<int64_t>(s, r);
  case Type::f16: return cvt_from<half>(s, r);
  case Type::f32: return cvt_from<float>(s, r);
  case Type::f64: return cvt_from<double>(s, r);
  case Type::bf16: return cvt_from<bfloat>(s, r);
  default: return nullptr;
  }
}

template <int space> Function memory_of(bool loads, Type t) {
#define MEMORY(T) return loads ? load<T, space> : store<T, space>
  switch (t) {
  case Type::u8: MEMORY(uint8_t);
  case Type::s8: MEMORY(int8_t);
  case Type::u16: case Type::f16: case Type::bf16: MEMORY(uint16_t);
  case Type::s16: MEMORY(int16_t);
  case Type::u32: case Type::f32: case Type::f16x2: case Type::bf16x2: MEMORY(uint32_t);
  case Type::s32: MEMORY(int32_t);
  case Type::u64: case Type::s64: case Type::f64: MEMORY(uint64_t);
  default: return nullptr;
  }
}
template <int space> Function atomic_of(const std::string &op, Type t) {
#define ATOMIC(name, T, Op) if (op == name) return atomic<T, space, Op>
#define ATOMICS(T) \
  ATOMIC("add", T, Joined<T COMMA Add<T>>); ATOMIC("min", T, Joined<T COMMA Min<T>>); ATOMIC("max", T, Joined<T COMMA Max<T>>); \
  ATOMIC("and", T, Joined<T COMMA And<T>>); ATOMIC("or", T, Joined<T COMMA Or<T>>); ATOMIC("xor", T, Joined<T COMMA Xor<T>>); \
  ATOMIC("exch", T, Exchange<T>); ATOMIC("cas", T, Swap<T>); ATOMIC("inc", T, Increment<T>); ATOMIC("dec", T, Decrement<T>)
#define COMMA ,
  switch (t) {
  case Type::u16: ATOMICS(uint16_t); break;
  case Type::u32: ATOMICS(uint32_t); break;
  case Type::s32: ATOMICS(int32_t); break;
  case Type::u64: ATOMICS(uint64_t); break;
  case Type::s64: ATOMICS(int64_t); break;
  case Type::f32: ATOMIC("add", float, Joined<float COMMA FAdd<float>>); break;
  case Type::f64: ATOMIC("add", double, Joined<double COMMA FAdd<double>>); break;
  case Type::f16: ATOMIC("add", half, Joined<half COMMA FAdd<half>>); break;
  default: break;
  }
  return nullptr;
}

Function find(Instruction &i, const std::vector<std::string> &parts) {
  const std::string &op = parts[0];
  auto has = [&](const char *w) {
    for (auto &p : parts)
      if (p == w) return true;
    return false;
  };
  Type t = type(parts.back());
  std::string rounding = has("rz") ? "rz" : has("rm") ? "rm" : has("rp") ? "rp" : "rn";
  i.ftz = has("ftz");
  i.sat = has("sat");
  bool real = t == Type::f16 || t == Type::f32 || t == Type::f64 || t == Type::bf16;
  bool pair = t == Type::f16x2 || t == Type::bf16x2;

  if (t == Type::pred && (op == "and" || op == "or" || op == "xor" || op == "not" || op == "mov")) {
    i.number = op == "and" ? 0 : op == "or" ? 1 : op == "xor" ? 2 : op == "not" ? 3 : 4;
    if (i.from_count == 1) i.from[1] = i.from[0];
    return pred;
  }
  if (op == "add" || op == "sub" || op == "mul" || op == "fma" || op == "mad" || op == "div") {
    if (has("cc")) return nullptr;
    if (pair) {
      if (op == "add") return pair_of<FAdd, 2>(t);
      if (op == "sub") return pair_of<FSub, 2>(t);
      if (op == "mul") return pair_of<FMul, 2>(t);
      return pair_of<FFma, 3>(t);
    }
    if (real) {
      if (rounding != "rn" && t == Type::f32) {
        if (op == "add") return in_mode<binary<float, FAdd<float>>>(rounding);
        if (op == "sub") return in_mode<binary<float, FSub<float>>>(rounding);
        if (op == "mul") return in_mode<binary<float, FMul<float>>>(rounding);
        if (op == "div") return in_mode<binary<float, FDiv<float>>>(rounding);
        return in_mode<ternary<float, FFma<float>>>(rounding);
      }
      if (rounding != "rn" && t == Type::f64) {
        if (op == "add") return in_mode<binary<double, FAdd<double>>>(rounding);
        if (op == "sub") return in_mode<binary<double, FSub<double>>>(rounding);
        if (op == "mul") return in_mode<binary<double, FMul<double>>>(rounding);
        if (op == "div") return in_mode<binary<double, FDiv<double>>>(rounding);
        return in_mode<ternary<double, FFma<double>>>(rounding);
      }
      if (op == "add") { FLOATS(add_f) }
      if (op == "sub") { FLOATS(sub_f) }
      if (op == "mul") { FLOATS(mul_f) }
      if (op == "div") { FLOATS(div_f) }
      FLOATS(fma_f)
    }
    if (i.sat) return nullptr;
    if (op == "add") { INTEGERS(add_i) }
    if (op == "sub") { INTEGERS(sub_i) }
    if (op == "div") { INTEGERS(div_i) }
    if (has("wide")) {
      switch (t) {
      case Type::u16: return op == "mul" ? mul_wide<uint16_t> : mad_wide<uint16_t>;
      case Type::s16: return op == "mul" ? mul_wide<int16_t> : mad_wide<int16_t>;
      case Type::u32: return op == "mul" ? mul_wide<uint32_t> : mad_wide<uint32_t>;
      case Type::s32: return op == "mul" ? mul_wide<int32_t> : mad_wide<int32_t>;
      default: return nullptr;
      }
    }
    if (has("hi")) {
      if (op == "mul") { INTEGERS(mul_hi) }
      INTEGERS(mad_hi)
    }
    if (op == "mul") { INTEGERS(mul_lo) }
    INTEGERS(mad_lo)
  }
  if (op == "rem") { INTEGERS(rem_i) }
  if (op == "min" || op == "max") {
    bool nan = has("NaN"), least = op == "min";
    if (pair) return least ? (nan ? pair_of<FMinNaN, 2>(t) : pair_of<FMin, 2>(t)) : nan ? pair_of<FMaxNaN, 2>(t) : pair_of<FMax, 2>(t);
    if (real && least) { if (nan) { FLOATS(min_nan) } FLOATS(min_f) }
    if (real) { if (nan) { FLOATS(max_nan) } FLOATS(max_f) }
    if (least) { INTEGERS(min_i) }
    INTEGERS(max_i)
  }
  if (op == "neg" || op == "abs") {
    if (pair) return op == "neg" ? pair_of<FNeg, 1>(t) : pair_of<FAbs, 1>(t);
    if (op == "neg") { FLOATS(neg_f) INTEGERS(neg_i) }
    FLOATS(abs_f)
    INTEGERS(abs_i)
  }
  if (op == "ex2") { if (pair) return pair_of<Exp2, 1>(t); FLOATS(exp2_f) }
  if (op == "tanh") { if (pair) return pair_of<Tanh, 1>(t); FLOATS(tanh_f) }
#define REALS(f) if (t == Type::f32) return in_mode<f<float>>(rounding); if (t == Type::f64) return in_mode<f<double>>(rounding); return nullptr
  if (op == "lg2") { REALS(log2_f); }
  if (op == "sqrt") { REALS(sqrt_f); }
  if (op == "rcp") { REALS(rcp_f); }
  if (op == "rsqrt") { REALS(rsqrt_f); }
  if (op == "sin") { REALS(sin_f); }
  if (op == "cos") { REALS(cos_f); }
  if (op == "and") { INTEGERS(and_i) }
  if (op == "or") { INTEGERS(or_i) }
  if (op == "xor") { INTEGERS(xor_i) }
  if (op == "not") { INTEGERS(not_i) }
  if (op == "shl") { INTEGERS(shl) }
  if (op == "shr") { INTEGERS(shr) }
  if (op == "mov") { FLOATS(copy_f) INTEGERS(copy_i) return pair ? copy_i<uint32_t> : nullptr; }
  if (op == "pack" || op == "unpack") {
    int whole = t == Type::u64 || t == Type::s64 || t == Type::f64 ? 64 : t == Type::u16 ? 16 : 32;
    i.number = whole / i.number;
    return op == "pack" ? pack : unpack;
  }
  if (op == "setp" || op == "set") {
    i.number = comparison(parts.at(1));
    if (op == "set") {
      Type d = type(parts[parts.size() - 2]);
      if (t == Type::f16 && d == Type::f16) return set<half, half>;
      if (t == Type::f32 && d == Type::f32) return set<float, float>;
      if (t == Type::f32 && d == Type::u32) return set<float, uint32_t>;
      if (t == Type::f16x2 && d == Type::f16x2) return nullptr;
      return nullptr;
    }
    i.number |= has("and") ? 16 : has("or") ? 32 : has("xor") ? 48 : 0;
    FLOATS(setp_t)
    INTEGERS(setp_t)
  }
  if (op == "selp") { FLOATS(selp_t) INTEGERS(selp_t) }
  if (op == "cvt") {
    Type d = type(parts[parts.size() - 2]);
    if (d == Type::f16x2 && t == Type::f32) return cvt_pair<half>;
    if (d == Type::bf16x2 && t == Type::f32) return cvt_pair<bfloat>;
    int r = has("rni") ? 0 : has("rzi") ? 1 : has("rmi") ? 2 : has("rpi") ? 3 : -1;
    i.number = r >= 0;
    bool narrows = d == Type::f32 && t == Type::f64, integer = t <= Type::s64;
    if (rounding != "rn" && r < 0 && (narrows || integer)) {
      if (narrows) return in_mode<cvt<float, double, 0>>(rounding);
      if (d == Type::f32 && t == Type::s32) return in_mode<cvt<float, int32_t, 0>>(rounding);
      if (d == Type::f32 && t == Type::u32) return in_mode<cvt<float, uint32_t, 0>>(rounding);
      return nullptr;
    }
    if (has("relu")) return nullptr;
    return conversion(d, t, r);
  }
  if (op == "cvta") {
    bool from_generic = has("to");
    if (has("shared")) return from_generic ? convert_address<shared_space, false> : convert_address<shared_space, true>;
    if (has("local")) return from_generic ? convert_address<local_space, false> : convert_address<local_space, true>;
    return convert_address<generic, true>;
  }
  if (op == "ld" || op == "ldu" || op == "st") {
    bool loads = op != "st";
    if (has("shared")) return memory_of<shared_space>(loads, t);
    if (has("local")) return memory_of<local_space>(loads, t);
    if (has("param")) return memory_of<parameters>(loads, t);
    return memory_of<generic>(loads, t);
  }
  if (op == "atom" || op == "red") {
    for (auto &p : parts) {
      Function f = has("shared") ? atomic_of<shared_space>(p, t) : atomic_of<generic>(p, t);
      if (f) return f;
    }
    return nullptr;
  }
  if (op == "cp") {
    if (has("bulk") || has("mbarrier")) return nullptr;
    if (!has("global")) return nothing; // commit and wait
    return nullptr;
  }
  if (op == "shfl") {
    i.flow = Flow::warp;
    return has("up") ? shuffle<0> : has("down") ? shuffle<1> : has("bfly") ? shuffle<2> : shuffle<3>;
  }
  if (op == "vote") {
    i.flow = Flow::warp;
    return has("ballot") ? vote<0> : has("any") ? vote<1> : has("all") ? vote<2> : vote<3>;
  }
  if (op == "redux") {
    i.flow = Flow::warp;
    if (has("add")) return redux<uint32_t, Add<uint32_t>>;
    if (has("and")) return redux<uint32_t, And<uint32_t>>;
    if (has("or")) return redux<uint32_t, Or<uint32_t>>;
    if (has("xor")) return redux<uint32_t, Xor<uint32_t>>;
    if (t == Type::s32) return has("min") ? redux<int32_t, Min<int32_t>> : redux<int32_t, Max<int32_t>>;
    return has("min") ? redux<uint32_t, Min<uint32_t>> : redux<uint32_t, Max<uint32_t>>;
  }
  if (op == "match" && has("any")) {
    i.flow = Flow::warp;
    return t == Type::u64 ? match_any<uint64_t> : match_any<uint32_t>;
  }
  if (op == "activemask") return nullptr;
  if (op == "bar" || op == "barrier") { // of the warp
    i.flow = Flow::warp;
    return nothing;
  }
  if (op == "bfe") return t == Type::u32 ? bfe<uint32_t> : t == Type::s32 ? bfe<int32_t> : t == Type::u64 ? bfe<uint64_t> : bfe<int64_t>;
  if (op == "bfi") return t == Type::u32 ? bfi<uint32_t> : bfi<uint64_t>;
  if (op == "lop3") return lop3;
  if (op == "prmt") return parts.size() == 2 ? prmt : nullptr;
  if (op == "shf") return has("l") ? (has("wrap") ? funnel<true, true> : funnel<true, false>) : has("wrap") ? funnel<false, true> : funnel<false, false>;
  if (op == "popc") return t == Type::u32 ? count_bits<uint32_t, 0> : count_bits<uint64_t, 0>;
  if (op == "clz") return t == Type::u32 ? count_bits<uint32_t, 1> : count_bits<uint64_t, 1>;
  if (op == "brev") return t == Type::u32 ? count_bits<uint32_t, 2> : count_bits<uint64_t, 2>;
  if (op == "dp4a" && t == Type::s32) return dot4;
  if (op == "membar" || op == "fence" || op == "nanosleep" || op == "griddepcontrol" || op == "prefetch" || op == "discard") return nothing;
  return nullptr;
}

} // namespace

void select(Instruction &i, const std::vector<std::string> &parts) {
  i.run = find(i, parts);
  if (!i.run) throw Error("not implemented");
}

} // namespace ptx
