// Stand-in for cuBLAS: matrix products of every element type that ONNX Runtime's
// kernels ask for, transposing sums, and a few operations on vectors. Matrices
// are stored by columns, lda elements apart.
#include "device.h"
#include "matrix.h"
#include <cstdarg>
#include <cstdio>

#define CUBLAS_API extern "C" __attribute__((visibility("default")))

using namespace virtualgpu;

namespace {

enum Status { success = 0, invalidValue = 7, executionFailed = 13, notSupported = 15 };

__attribute__((format(printf, 2, 3))) Status fail(Status s, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "virtual cuBLAS: %s\n", text);
  return s;
}

struct Handle { void *stream = nullptr; int math = 0; };

// typeOf reads cudaDataType_t.
Type typeOf(int cuda) {
  switch (cuda) {
  case 0: return Type::f32;
  case 1: return Type::f64;
  case 2: return Type::f16;
  case 14: return Type::bf16;
  default: return Type::unknown;
  }
}

struct Factor {
  int transposed; // 0: as it is, 1 or 2: transposed
  Type type;
  int64_t ld;
};

// Product is C = alpha·A·B + beta·C, once for each of a batch.
struct Product {
  int64_t m, n, k, batch;
  Factor a, b;
  Type c;
  int64_t ldc;
  double alpha, beta;
  bool tf32 = false;
};

Status check(const char *name, const Product &p) {
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0 || p.a.transposed < 0 || p.a.transposed > 2 || p.b.transposed < 0 || p.b.transposed > 2)
    return fail(invalidValue, "%s: m %lld, n %lld, k %lld, batch %lld", name, (long long)p.m, (long long)p.n, (long long)p.k, (long long)p.batch);
  int64_t rowsA = p.a.transposed ? p.k : p.m, rowsB = p.b.transposed ? p.n : p.k;
  if (p.a.ld < std::max<int64_t>(1, rowsA) || p.b.ld < std::max<int64_t>(1, rowsB) || p.ldc < std::max<int64_t>(1, p.m))
    return fail(invalidValue, "%s: columns of %lld, %lld and %lld rows lie %lld, %lld and %lld elements apart", name, (long long)rowsA,
                (long long)rowsB, (long long)p.m, (long long)p.a.ld, (long long)p.b.ld, (long long)p.ldc);
  if (!isReal(p.a.type) || p.a.type != p.b.type || (p.c != p.a.type && p.c != Type::f32))
    return fail(notSupported, "%s: these data types together", name);
  return success;
}

// multiply computes columns first to last of one product.
template <class T, class In, class Out>
void multiply(const Product &p, const In *a, const In *b, Out *c, int64_t first, int64_t last) {
  int64_t rowA = p.a.transposed ? p.a.ld : 1, colA = p.a.transposed ? 1 : p.a.ld;
  int64_t rowB = p.b.transposed ? p.b.ld : 1, colB = p.b.transposed ? 1 : p.b.ld;
  auto put = [&](int64_t i, int64_t j, T sum) {
    Out *to = c + i + (first + j) * p.ldc;
    T v = T(p.alpha) * sum;
    write<T>(to, p.beta == 0 ? v : v + T(p.beta) * read<T>(to));
  };
  auto value = [&](const In *e) { return p.tf32 ? T(toTF32(float(read<T>(e)))) : read<T>(e); };
  product<T>(p.m, last - first, p.alpha == 0 ? 0 : p.k, [&](int64_t i, int64_t q) { return value(a + i * rowA + q * colA); },
             [&](int64_t q, int64_t j) { return value(b + q * rowB + (first + j) * colB); }, put);
}

struct Matrices { const void *a, *b; void *c; };

// onDevice gives the host's address of a matrix in the device's memory.
template <class P> P *onDevice(P *memory, Type t, int64_t rows, int64_t columns, int64_t ld) {
  return rows && columns ? reach(memory, size_t((columns - 1) * ld + rows) * sizeOf(t)) : memory;
}

// run computes all products; of(i) gives the three matrices of the i-th.
template <class F> Status run(const char *name, const Product &p, F of) {
  Status s = check(name, p);
  if (s != success || p.m == 0 || p.n == 0) return s;
  std::vector<Matrices> all;
  try {
    for (int64_t i = 0; i < p.batch; i++) {
      Matrices m = of(i);
      m.a = onDevice(m.a, p.a.type, p.a.transposed ? p.k : p.m, p.a.transposed ? p.m : p.k, p.a.ld);
      m.b = onDevice(m.b, p.b.type, p.b.transposed ? p.n : p.k, p.b.transposed ? p.k : p.n, p.b.ld);
      m.c = onDevice(m.c, p.c, p.m, p.n, p.ldc);
      all.push_back(m);
    }
  } catch (const Fault &) {
    return executionFailed;
  }
  int64_t parts = p.batch >= threads() ? 1 : std::min<int64_t>(threads(), (p.n + 63) / 64);
  parallel(p.batch * parts, 2. * double(p.batch * p.m * p.n) * double(p.k), [&](int64_t i) {
    auto [a, b, c] = all[size_t(i / parts)];
    int64_t each = (p.n + parts - 1) / parts, first = i % parts * each, last = std::min(p.n, first + each);
    if (first >= last) return;
    withType(p.a.type, [&](auto *in) {
      using In = std::remove_pointer_t<decltype(in)>;
      using T = std::conditional_t<sizeof(In) == 8, double, float>;
      if (p.c == Type::f32) multiply<T>(p, (const In *)a, (const In *)b, (float *)c, first, last);
      else multiply<T>(p, (const In *)a, (const In *)b, (In *)c, first, last);
    });
  });
  return success;
}

// factor reads alpha or beta, whose type follows the computation's.
double factor(const void *p, int compute) {
  switch (compute) {
  case 64: case 65: return toFloat(*(const Half *)p);
  case 70: case 71: return *(const double *)p;
  default: return *(const float *)p;
  }
}

// tf32 says whether a product of these elements may lose precision: by the
// handle's mode, or by the computation.
bool tf32(const Handle *h, Type in, int compute) { return in == Type::f32 && (h->math == 3 || compute == 77) && emulatesTF32(); }

Status checkCompute(const char *name, int compute, Type in) {
  bool single = compute == 68 || compute == 69 || (compute >= 74 && compute <= 77), half = compute == 64 || compute == 65;
  if ((in == Type::f64) != (compute == 70 || compute == 71) || !(single || half || in == Type::f64) || (half && in != Type::f16))
    return fail(notSupported, "%s: computation %d of these data types", name, compute);
  return success;
}

auto strided(Type in, Type out, const void *a, int64_t sa, const void *b, int64_t sb, void *c, int64_t sc) {
  int64_t i = int64_t(sizeOf(in)), o = int64_t(sizeOf(out));
  return [=](int64_t n) { return Matrices{(const char *)a + n * sa * i, (const char *)b + n * sb * i, (char *)c + n * sc * o}; };
}
// The lists lie in the device's memory too.
auto listed(const void *const *a, const void *const *b, void *const *c) {
  auto at = [](auto *list, int64_t n) { return *reach(list + n, sizeof(void *)); };
  return [=](int64_t n) { return Matrices{at(a, n), at(b, n), at(c, n)}; };
}

} // namespace

CUBLAS_API int cublasCreate_v2(Handle **h) {
  *h = new Handle;
  return success;
}
CUBLAS_API int cublasDestroy_v2(Handle *h) {
  delete h;
  return success;
}
CUBLAS_API int cublasSetStream_v2(Handle *h, void *stream) {
  h->stream = stream;
  return success;
}
CUBLAS_API int cublasGetStream_v2(Handle *h, void **stream) {
  *stream = h->stream;
  return success;
}
CUBLAS_API int cublasSetMathMode(Handle *h, int math) {
  h->math = math;
  return success;
}
CUBLAS_API int cublasGetMathMode(Handle *h, int *math) {
  *math = h->math;
  return success;
}
CUBLAS_API int cublasSetWorkspace_v2(Handle *, void *workspace, size_t bytes) {
  try {
    memset(reach(workspace, bytes), 0xff, bytes); // it is the library's now
  } catch (const Fault &) {
    return executionFailed;
  }
  return success;
}
CUBLAS_API int cublasSetPointerMode_v2(Handle *, int mode) {
  return mode == 0 ? success : fail(notSupported, "%s: factors in device memory", __func__);
}
CUBLAS_API int cublasGetPointerMode_v2(Handle *, int *mode) {
  *mode = 0;
  return success;
}
CUBLAS_API const char *cublasGetStatusName(int s) {
  return s == success ? "CUBLAS_STATUS_SUCCESS" : s == invalidValue ? "CUBLAS_STATUS_INVALID_VALUE" : s == notSupported ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_UNKNOWN";
}
CUBLAS_API const char *cublasGetStatusString(int s) { return cublasGetStatusName(s); }

#define GEMM(letter, T, type)                                                                                                     \
  CUBLAS_API int cublas##letter##gemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *a, int lda,      \
                                         const T *b, int ldb, const T *beta, T *c, int ldc) {                                     \
    Product p = {m, n, k, 1, {ta, type, lda}, {tb, type, ldb}, type, ldc, *alpha, *beta, tf32(h, type, 68)};                                         \
    return run(__func__, p, strided(type, type, a, 0, b, 0, c, 0));                                                               \
  }                                                                                                                               \
  CUBLAS_API int cublas##letter##gemmStridedBatched(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *a,    \
                                                    int lda, long long sa, const T *b, int ldb, long long sb, const T *beta,      \
                                                    T *c, int ldc, long long sc, int batch) {                                     \
    Product p = {m, n, k, batch, {ta, type, lda}, {tb, type, ldb}, type, ldc, *alpha, *beta, tf32(h, type, 68)};                                     \
    return run(__func__, p, strided(type, type, a, sa, b, sb, c, sc));                                                            \
  }                                                                                                                               \
  CUBLAS_API int cublas##letter##gemmBatched(Handle *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *const *a,    \
                                             int lda, const T *const *b, int ldb, const T *beta, T *const *c, int ldc,            \
                                             int batch) {                                                                         \
    Product p = {m, n, k, batch, {ta, type, lda}, {tb, type, ldb}, type, ldc, *alpha, *beta, tf32(h, type, 68)};                                     \
    return run(__func__, p, listed((const void *const *)a, (const void *const *)b, (void *const *)c));                            \
  }
GEMM(S, float, Type::f32)
GEMM(D, double, Type::f64)

CUBLAS_API int cublasGemmStridedBatchedEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int typeA,
                                          int lda, long long sa, const void *b, int typeB, int ldb, long long sb,
                                          const void *beta, void *c, int typeC, int ldc, long long sc, int batch, int compute, int) {
  Status s = checkCompute(__func__, compute, typeOf(typeA));
  if (s != success) return s;
  Product p = {m, n, k, batch, {ta, typeOf(typeA), lda}, {tb, typeOf(typeB), ldb}, typeOf(typeC), ldc, factor(alpha, compute), factor(beta, compute), tf32(h, typeOf(typeA), compute)};
  return run(__func__, p, strided(typeOf(typeA), typeOf(typeC), a, sa, b, sb, c, sc));
}
CUBLAS_API int cublasGemmEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int typeA, int lda,
                            const void *b, int typeB, int ldb, const void *beta, void *c, int typeC, int ldc, int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, typeA, lda, 0, b, typeB, ldb, 0, beta, c, typeC, ldc, 0, 1, compute, algorithm);
}
CUBLAS_API int cublasGemmBatchedEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *const *a, int typeA,
                                   int lda, const void *const *b, int typeB, int ldb, const void *beta, void *const *c, int typeC,
                                   int ldc, int batch, int compute, int) {
  Status s = checkCompute(__func__, compute, typeOf(typeA));
  if (s != success) return s;
  Product p = {m, n, k, batch, {ta, typeOf(typeA), lda}, {tb, typeOf(typeB), ldb}, typeOf(typeC), ldc, factor(alpha, compute), factor(beta, compute), tf32(h, typeOf(typeA), compute)};
  return run(__func__, p, listed(a, b, c));
}

namespace {

// geam computes C = alpha·op(A) + beta·op(B). A factor of zero leaves its
// matrix unread; C may be A or B where that one is not transposed.
template <class T>
int geam(const char *name, int ta, int tb, int m, int n, T alpha, const T *a, int lda, T beta, const T *b, int ldb, T *c, int ldc) {
  bool readA = alpha != 0, readB = beta != 0;
  if (m < 0 || n < 0 || ldc < m || (readA && lda < (ta ? n : m)) || (readB && ldb < (tb ? n : m)))
    return fail(invalidValue, "%s: m %d, n %d, columns %d, %d and %d elements apart", name, m, n, lda, ldb, ldc);
  if ((readA && a == c && ta) || (readB && b == c && tb)) return fail(invalidValue, "%s: transposes in place", name);
  try {
    Type t = sizeof(T) == 8 ? Type::f64 : Type::f32;
    if (readA) a = onDevice(a, t, ta ? n : m, ta ? m : n, lda);
    if (readB) b = onDevice(b, t, tb ? n : m, tb ? m : n, ldb);
    c = onDevice(c, t, m, n, ldc);
  } catch (const Fault &) {
    return executionFailed;
  }
  parallel(n, double(m) * double(n), [&](int64_t j) {
    for (int64_t i = 0; i < m; i++) {
      T sum = 0;
      if (readA) sum += alpha * a[ta ? j + i * lda : i + j * lda];
      if (readB) sum += beta * b[tb ? j + i * ldb : i + j * ldb];
      c[i + j * ldc] = sum;
    }
  });
  return success;
}

// vector gives the host's address of n elements that are step apart.
template <class T> T *vector(T *p, int n, int step) {
  return n > 0 ? reach(p, (size_t(n - 1) * size_t(std::abs(step)) + 1) * sizeof(T)) : p;
}

template <class T> int copy(int n, const T *x, int stepX, T *y, int stepY) {
  try {
    x = vector(x, n, stepX), y = vector(y, n, stepY);
  } catch (const Fault &) {
    return executionFailed;
  }
  for (int64_t i = 0; i < n; i++) { // a negative step goes backwards from the end
    int64_t at = stepX < 0 ? (i - n + 1) * stepX : i * stepX, to = stepY < 0 ? (i - n + 1) * stepY : i * stepY;
    y[to] = x[at];
  }
  return success;
}

} // namespace

CUBLAS_API int cublasSgeam(Handle *, int ta, int tb, int m, int n, const float *alpha, const float *a, int lda, const float *beta,
                           const float *b, int ldb, float *c, int ldc) {
  return geam(__func__, ta, tb, m, n, *alpha, a, lda, *beta, b, ldb, c, ldc);
}
CUBLAS_API int cublasDgeam(Handle *, int ta, int tb, int m, int n, const double *alpha, const double *a, int lda, const double *beta,
                           const double *b, int ldb, double *c, int ldc) {
  return geam(__func__, ta, tb, m, n, *alpha, a, lda, *beta, b, ldb, c, ldc);
}
CUBLAS_API int cublasSscal_v2(Handle *, int n, const float *alpha, float *x, int step) {
  if (step < 1) return n > 0 ? fail(invalidValue, "%s: step %d", __func__, step) : success;
  try {
    x = vector(x, n, step);
  } catch (const Fault &) {
    return executionFailed;
  }
  for (int64_t i = 0; i < n; i++) x[i * step] *= *alpha;
  return success;
}
CUBLAS_API int cublasScopy_v2(Handle *, int n, const float *x, int stepX, float *y, int stepY) { return copy(n, x, stepX, y, stepY); }
CUBLAS_API int cublasDcopy_v2(Handle *, int n, const double *x, int stepX, double *y, int stepY) { return copy(n, x, stepX, y, stepY); }

#define UNSUPPORTED(name)                                                                                              \
  CUBLAS_API int name() { return fail(notSupported, "%s is not one of its functions", #name); }
UNSUPPORTED(cublasSgetrfBatched)
UNSUPPORTED(cublasSgetriBatched)
UNSUPPORTED(cublasDgetrfBatched)
UNSUPPORTED(cublasDgetriBatched)
