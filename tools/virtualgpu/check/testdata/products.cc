// cuBLAS against the definition.
#include "reference.h"

extern "C" {
int cublasCreate_v2(void **);
int cublasDestroy_v2(void *);
int cublasSgemm_v2(void *, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc);
int cublasGemmStridedBatchedEx(void *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int typeA, int lda, long long sa,
                               const void *b, int typeB, int ldb, long long sb, const void *beta, void *c, int typeC, int ldc, long long sc,
                               int batch, int compute, int algorithm);
int cublasGemmBatchedEx(void *, int ta, int tb, int m, int n, int k, const void *alpha, const void *const *a, int typeA, int lda,
                        const void *const *b, int typeB, int ldb, const void *beta, void *const *c, int typeC, int ldc, int batch, int compute, int algorithm);
int cublasSgeam(void *, int ta, int tb, int m, int n, const float *alpha, const float *a, int lda, const float *beta, const float *b, int ldb, float *c, int ldc);
int cublasSetMathMode(void *, int);
int cublasSscal_v2(void *, int n, const float *alpha, float *x, int step);
int cublasScopy_v2(void *, int n, const float *x, int stepX, float *y, int stepY);
}

namespace {

int cudaNumber(int kind) { return kind == kBFloat16 ? 14 : kind; } // of cudaDataType_t

// Matrices is a batch of matrices stored by columns, with gaps between columns.
struct Matrices {
  int kind, rows, columns, batch, ld, step;
  std::vector<char> memory;
  Matrices(int kind, int rows, int columns, int batch) : kind(kind), rows(rows), columns(columns), batch(batch), ld(rows + pick(0, 3)), step(ld * columns + pick(0, 5)) {
    memory.resize(size_t(step * (batch - 1) + ld * (columns - 1) + rows) * bytesOf(kind));
    for (size_t i = 0; i < memory.size() / bytesOf(kind); i++) put(kind, memory.data(), int64_t(i), normal());
  }
  int64_t offset(int n, int i, int j) const { return int64_t(n) * step + i + int64_t(j) * ld; }
  double at(int n, int i, int j, bool transposed) const { return get(kind, memory.data(), transposed ? offset(n, j, i) : offset(n, i, j)); }
  void *matrix(int n) { return memory.data() + size_t(n * step) * bytesOf(kind); }
};

void testProduct(void *handle) {
  int ta = pick(0, 1), tb = pick(0, 1), m = pick(1, 40), n = pick(1, 40), k = pickOf({1, 7, 40, 2500}), batch = pick(1, 4);
  int in = pickOf({kFloat, kDouble, kHalf, kBFloat16}), out = (in == kHalf || in == kBFloat16) && pick(0, 1) ? int(kFloat) : in;
  int compute = in == kDouble ? 70 : in == kHalf && out == kHalf && pick(0, 1) ? 64 : pickOf({68, 77}); // 64F, 16F, 32F, 32F_FAST_TF32
  Matrices a(in, ta ? k : m, ta ? m : k, batch), b(in, tb ? n : k, tb ? k : n, batch), c(out, m, n, batch), before = c;
  double alpha = pickOf({1, 2, -3}) * 0.5, beta = pickOf({0, 0, 2}) * 0.5;
  float alphaFloat = float(alpha), betaFloat = float(beta);
  _Float16 alphaHalf = _Float16(alpha), betaHalf = _Float16(beta);
  const void *pa = compute == 70 ? (void *)&alpha : compute == 64 ? (void *)&alphaHalf : &alphaFloat;
  const void *pb = compute == 70 ? (void *)&beta : compute == 64 ? (void *)&betaHalf : &betaFloat;
  if (beta == 0)
    for (int x = 0; x < batch; x++)
      for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) put(out, c.memory.data(), c.offset(x, i, j), NAN);
  Matrices untouched = c;
  int status;
  if (pick(0, 1)) {
    status = cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, pa, a.matrix(0), cudaNumber(in), a.ld, a.step, b.matrix(0), cudaNumber(in), b.ld, b.step, pb,
                                        c.matrix(0), cudaNumber(out), c.ld, c.step, batch, compute, -1);
  } else {
    std::vector<const void *> as, bs;
    std::vector<void *> cs;
    for (int x = 0; x < batch; x++) as.push_back(a.matrix(x)), bs.push_back(b.matrix(x)), cs.push_back(c.matrix(x));
    status = cublasGemmBatchedEx(handle, ta, tb, m, n, k, pa, as.data(), cudaNumber(in), a.ld, bs.data(), cudaNumber(in), b.ld, pb, cs.data(),
                                 cudaNumber(out), c.ld, batch, compute, -1);
  }
  EXPECT(status == 0, "a product is refused");
  double worst = 0;
  for (int x = 0; x < batch; x++)
    for (int j = 0; j < n; j++)
      for (int i = 0; i < m; i++) {
        double sum = 0, size = 0;
        for (int p = 0; p < k; p++) {
          double v = a.at(x, i, p, ta) * b.at(x, p, j, tb);
          sum += v, size += std::abs(v);
        }
        double was = beta == 0 ? 0 : before.at(x, i, j, false), want = alpha * sum + beta * was;
        double error = std::abs(c.at(x, i, j, false) - want) / precision(out) / (std::abs(alpha) * size + std::abs(beta * was) + 1e-3);
        worst = std::max(worst, error == error ? error : 1e30);
        memcpy(c.memory.data() + size_t(c.offset(x, i, j)) * bytesOf(out), untouched.memory.data() + size_t(c.offset(x, i, j)) * bytesOf(out), bytesOf(out));
      }
  EXPECT(worst <= 1, "product of kinds %d and %d, computed in %d: the error is %g times what it may be", in, out, compute, worst);
  EXPECT(c.memory == untouched.memory, "a product wrote beside its result");
}

void testOthers(void *handle) {
  int ta = pick(0, 1), tb = pick(0, 1), m = pick(1, 20), n = pick(1, 20), k = pick(1, 20);
  Matrices a(kFloat, ta ? n : m, ta ? m : n, 1), b(kFloat, tb ? n : m, tb ? m : n, 1), c(kFloat, m, n, 1);
  float alpha = 0.5, beta = float(pick(0, 1)), zero = 0;
  const float *unread = nullptr; // where the factor is zero
  EXPECT(cublasSgeam(handle, ta, tb, m, n, &alpha, (float *)a.matrix(0), a.ld, &beta, beta == 0 ? unread : (float *)b.matrix(0), b.ld, (float *)c.matrix(0), c.ld) == 0, "geam");
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++) {
      double want = 0.5 * a.at(0, i, j, ta) + beta * b.at(0, i, j, tb);
      EXPECT(std::abs(c.at(0, i, j, false) - want) < 1e-6, "geam gives %g, not %g", c.at(0, i, j, false), want);
    }
  Matrices x(kFloat, m, k, 1), y(kFloat, k, n, 1), z(kFloat, m, n, 1);
  EXPECT(cublasSgemm_v2(handle, 0, 0, m, n, k, &alpha, (float *)x.matrix(0), x.ld, (float *)y.matrix(0), y.ld, &zero, (float *)z.matrix(0), z.ld) == 0, "gemm");
  EXPECT(cublasSgemm_v2(handle, 0, 0, m, n, k, &alpha, (float *)x.matrix(0), m - 1, (float *)y.matrix(0), y.ld, &zero, (float *)z.matrix(0), z.ld) == 7, "overlapping columns were taken");
  double want = 0;
  for (int p = 0; p < k; p++) want += 0.5 * x.at(0, m - 1, p, false) * y.at(0, p, n - 1, false);
  EXPECT(std::abs(z.at(0, m - 1, n - 1, false) - want) < 1e-5, "gemm gives %g, not %g", z.at(0, m - 1, n - 1, false), want);

  // With TF32 allowed and emulated a factor has 10 bits.
  float full = 1 + 0x1p-10f + 0x1.8p-11f, one = 1, got[3];
  setenv("VIRTUALGPU_TF32", "1", 1);
  for (int math : {0, 3}) {
    cublasSetMathMode(handle, math);
    EXPECT(cublasSgemm_v2(handle, 0, 0, 1, 1, 1, &one, &full, 1, &one, 1, &zero, got, 1) == 0 && got[0] == (math == 3 ? 1 + 0x1p-9f : full), "math mode %d gives %a", math, double(got[0]));
  }
  cublasSetMathMode(handle, 0);
  unsetenv("VIRTUALGPU_TF32");

  float from[] = {1, 2, 3, 4, 5, 6}, to[] = {0, 0, 0, 0, 0, 0};
  EXPECT(cublasScopy_v2(handle, 3, from, 2, to, -1) == 0 && to[0] == 5 && to[1] == 3 && to[2] == 1 && to[3] == 0, "copy");
  EXPECT(cublasScopy_v2(handle, 4, from + 1, 0, to, 1) == 0 && to[0] == 2 && to[3] == 2 && to[4] == 0, "copies of one element");
  EXPECT(cublasSscal_v2(handle, 2, &alpha, from, 2) == 0 && from[0] == 0.5 && from[1] == 2 && from[2] == 1.5 && from[4] == 5, "scal");
}

} // namespace

void testProducts() {
  void *handle = nullptr;
  EXPECT(cublasCreate_v2(&handle) == 0, "handle");
  for (int i = 0; i < 80; i++) testProduct(handle), testOthers(handle);
  cublasDestroy_v2(handle);
}
