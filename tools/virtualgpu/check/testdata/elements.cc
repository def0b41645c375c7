// What cuDNN does to elements: pooling, norms, softmax, sums and reductions; and
// the conversion of element types.
#include "../../numbers.h"
#include "reference.h"

extern "C" {
int cudnnCreateTensorDescriptor(void **);
int cudnnDestroyTensorDescriptor(void *);
int cudnnSetTensorNdDescriptor(void *, int type, int rank, const int *sizes, const int *strides);
int cudnnCreatePoolingDescriptor(void **);
int cudnnDestroyPoolingDescriptor(void *);
int cudnnSetPoolingNdDescriptor(void *, int mode, int nan, int rank, const int *window, const int *pads, const int *strides);
int cudnnPoolingForward(void *, const void *, const void *alpha, const void *xd, const void *x, const void *beta, const void *yd, void *y);
int cudnnDeriveBNTensorDescriptor(void *, const void *x, int mode);
int cudnnBatchNormalizationForwardInference(void *, int mode, const void *alpha, const void *beta, const void *xd, const void *x,
                                            const void *yd, void *y, const void *pd, const void *scale, const void *bias,
                                            const void *mean, const void *variance, double epsilon);
int cudnnBatchNormalizationForwardTraining(void *, int mode, const void *alpha, const void *beta, const void *xd, const void *x,
                                           const void *yd, void *y, const void *pd, const void *scale, const void *bias, double factor,
                                           void *runningMean, void *runningVariance, double epsilon, void *mean, void *inverse);
int cudnnSoftmaxForward(void *, int algorithm, int mode, const void *alpha, const void *xd, const void *x, const void *beta, const void *yd, void *y);
int cudnnAddTensor(void *, const void *alpha, const void *ad, const void *a, const void *beta, const void *cd, void *c);
int cudnnCreateReduceTensorDescriptor(void **);
int cudnnDestroyReduceTensorDescriptor(void *);
int cudnnSetReduceTensorDescriptor(void *, int op, int compute, int nan, int indices, int indexType);
int cudnnGetReductionWorkspaceSize(void *, const void *, const void *a, const void *c, size_t *);
int cudnnGetReductionIndicesSize(void *, const void *, const void *a, const void *c, size_t *);
int cudnnReduceTensor(void *, const void *, void *indices, size_t, void *workspace, size_t, const void *alpha, const void *ad, const void *a,
                      const void *beta, const void *cd, void *c);
int cudnnCreateActivationDescriptor(void **);
int cudnnDestroyActivationDescriptor(void *);
int cudnnSetActivationDescriptor(void *, int mode, int nan, double coefficient);
int cudnnActivationForward(void *, void *, const void *alpha, const void *xd, const void *x, const void *beta, const void *yd, void *y);
int cudnnCreateLRNDescriptor(void **);
int cudnnDestroyLRNDescriptor(void *);
int cudnnSetLRNDescriptor(void *, unsigned n, double alpha, double beta, double k);
int cudnnLRNCrossChannelForward(void *, void *, int mode, const void *alpha, const void *xd, const void *x, const void *beta, const void *yd, void *y);
}

namespace {

struct TensorDescriptor {
  void *p = nullptr;
  TensorDescriptor() { cudnnCreateTensorDescriptor(&p); }
  explicit TensorDescriptor(const Array &a) : TensorDescriptor() {
    EXPECT(cudnnSetTensorNdDescriptor(p, a.kind, int(a.sizes.size()), a.sizes.data(), a.strides.data()) == 0, "tensor descriptor");
  }
  ~TensorDescriptor() { cudnnDestroyTensorDescriptor(p); }
};

// Factors for a kind of tensors: alpha and beta as their pointers give them.
struct Factors {
  float f[2];
  double d[2];
  bool wide;
  Factors(int kind, double alpha, double beta) : f{float(alpha), float(beta)}, d{alpha, beta}, wide(kind == kDouble) {}
  const void *alpha() const { return wide ? (const void *)&d[0] : &f[0]; }
  const void *beta() const { return wide ? (const void *)&d[1] : &f[1]; }
};

int anyKind() { return pickOf({kFloat, kHalf, kDouble, kBFloat16}); }

void testPooling() {
  size_t rank = size_t(pick(1, 3));
  std::vector<int> xs = {pick(1, 2), pick(1, 4)}, ys = xs, window, pads, strides;
  for (size_t a = 0; a < rank; a++) {
    window.push_back(pick(1, 4)), pads.push_back(pick(0, window[a] - 1)), strides.push_back(pick(1, 3));
    xs.push_back(window[a] + pick(0, 6));
    int reach = xs.back() + 2 * pads[a] - window[a], overhang = pick(0, 1);
    int out = (reach + (overhang ? strides[a] - 1 : 0)) / strides[a] + 1;
    if ((out - 1) * strides[a] - pads[a] >= xs.back()) out--; // a window must see something
    ys.push_back(out);
  }
  int kind = anyKind(), mode = pick(0, 3);
  Array x = Array::random(kind, xs, pick(0, 2)), y(kind, ys, pick(0, 2));
  bool nan = pick(0, 5) == 0;
  if (nan) x.set(std::vector<int>(xs.size()), NAN);
  TensorDescriptor xd(x), yd(y);
  void *p = nullptr;
  cudnnCreatePoolingDescriptor(&p);
  EXPECT(cudnnSetPoolingNdDescriptor(p, mode, 1, int(rank), window.data(), pads.data(), strides.data()) == 0, "pooling");
  Factors one(kind, 1, 0);
  EXPECT(cudnnPoolingForward(nullptr, p, one.alpha(), xd.p, x.data(), one.beta(), yd.p, y.data()) == 0, "pooling is refused");
  cudnnDestroyPoolingDescriptor(p);
  auto pooled = [&](const std::vector<int> &at, double &size) {
    double most = -INFINITY, sum = 0, inside = 0, all = 1;
    Array w(kFloat, window);
    for (int n : window) all *= n;
    w.each([&](const std::vector<int> &t) {
      std::vector<int> from = {at[0], at[1]};
      for (size_t a = 0; a < rank; a++) {
        int i = at[a + 2] * strides[a] - pads[a] + t[a];
        if (i < 0 || i >= xs[a + 2]) return;
        from.push_back(i);
      }
      double v = x(from);
      most = v != v || most != most ? NAN : std::max(most, v), sum += v, inside++, size += std::abs(v);
    });
    return mode == 1 ? sum / all : mode == 2 ? sum / inside : most;
  };
  if (!nan) return expect("pooling " + std::to_string(mode), y, pooled);
  y.each([&](const std::vector<int> &at) {
    double size = 0;
    EXPECT((pooled(at, size) != pooled(at, size)) == (y(at) != y(at)), "pooling %d: NaN does not go where it should", mode);
  });
}

void testNorm() {
  int kind = anyKind(), mode = pick(0, 2), own = kind == kDouble ? kDouble : kFloat;
  std::vector<int> xs = {pick(2, 3), pick(1, 4), pick(2, 5), pick(1, 5)}, ps = mode == 0 ? std::vector<int>{1, xs[1], xs[2], xs[3]} : std::vector<int>{1, xs[1], 1, 1};
  Array x = Array::random(kind, xs, pick(0, 1)), y = x, scale = Array::random(own, ps), bias = Array::random(own, ps), mean = Array::random(own, ps), variance = Array::random(own, ps);
  variance.each([&](const std::vector<int> &at) { variance.set(at, std::abs(variance(at)) + 0.1); });
  TensorDescriptor xd(x), pd;
  EXPECT(cudnnDeriveBNTensorDescriptor(pd.p, xd.p, mode) == 0, "parameters");
  Factors one(kind, 1, 0);
  auto parameter = [&](const std::vector<int> &at) { return mode == 0 ? std::vector<int>{0, at[1], at[2], at[3]} : std::vector<int>{0, at[1], 0, 0}; };
  EXPECT(cudnnBatchNormalizationForwardInference(nullptr, mode, one.alpha(), one.beta(), xd.p, x.data(), xd.p, y.data(), pd.p, scale.data(),
                                                 bias.data(), mean.data(), variance.data(), 1e-3) == 0, "norm is refused");
  expect("batch norm", y, [&](const std::vector<int> &at, double &size) {
    auto p = parameter(at);
    double gain = scale(p) / std::sqrt(variance(p) + 1e-3);
    size = std::abs(gain * x(at)) + std::abs(gain * mean(p)) + std::abs(bias(p));
    return gain * (x(at) - mean(p)) + bias(p);
  });

  Array runningMean = mean, runningVariance = variance, saved(own, ps), inverse(own, ps);
  EXPECT(cudnnBatchNormalizationForwardTraining(nullptr, mode, one.alpha(), one.beta(), xd.p, x.data(), xd.p, y.data(), pd.p, scale.data(), bias.data(),
                                                0.25, runningMean.data(), runningVariance.data(), 1e-3, saved.data(), inverse.data()) == 0, "training is refused");
  auto moments = [&](const std::vector<int> &p, double &average, double &spread, double &n) {
    double sum = 0, square = 0;
    n = 0;
    for (int pass = 0; pass < 2; pass++)
      x.each([&](const std::vector<int> &at) {
        if (parameter(at) != p) return;
        if (pass == 0) sum += x(at), n++;
        else square += (x(at) - sum / n) * (x(at) - sum / n);
      });
    average = sum / n, spread = square;
  };
  double average, spread, n;
  expect("mean of a batch", saved, [&](const std::vector<int> &p, double &size) { return moments(p, average, spread, n), size = 1, average; });
  expect("inverse deviation", inverse, [&](const std::vector<int> &p, double &size) { return moments(p, average, spread, n), size = 1 / std::sqrt(spread / n + 1e-3); });
  expect("running mean", runningMean, [&](const std::vector<int> &p, double &size) { return moments(p, average, spread, n), size = 2, 0.75 * mean(p) + 0.25 * average; });
  expect("running variance", runningVariance, [&](const std::vector<int> &p, double &size) { return moments(p, average, spread, n), size = 5, 0.75 * variance(p) + 0.25 * spread / (n - 1); });
  expect("batch norm in training", y, [&](const std::vector<int> &at, double &size) {
    auto p = parameter(at);
    moments(p, average, spread, n);
    double gain = scale(p) / std::sqrt(spread / n + 1e-3);
    size = std::abs(gain) * (std::abs(x(at)) + std::abs(average)) + std::abs(bias(p));
    return gain * (x(at) - average) + bias(p);
  });

  void *l = nullptr;
  cudnnCreateLRNDescriptor(&l);
  int window = pick(1, 4);
  EXPECT(cudnnSetLRNDescriptor(l, unsigned(window), 0.5, 0.75, 2) == 0, "local norm");
  EXPECT(cudnnLRNCrossChannelForward(nullptr, l, 0, one.alpha(), xd.p, x.data(), one.beta(), xd.p, y.data()) == 0, "local norm is refused");
  cudnnDestroyLRNDescriptor(l);
  expect("local response norm", y, [&](const std::vector<int> &at, double &size) {
    double sum = 0;
    for (int c = at[1] - (window - 1) / 2; c <= at[1] + window / 2; c++)
      if (c >= 0 && c < xs[1]) sum += std::pow(x({at[0], c, at[2], at[3]}), 2);
    return size = 1, x(at) / std::pow(2 + 0.5 / window * sum, 0.75);
  });
}

void testSoftmaxAndSums() {
  int kind = anyKind(), algorithm = pick(0, 2), mode = pick(0, 1);
  std::vector<int> xs = {pick(1, 3), pick(1, 6), pick(1, 4), pick(1, 4)};
  Array x = Array::random(kind, xs, pick(0, 2)), y(kind, xs, pick(0, 2));
  TensorDescriptor xd(x), yd(y);
  Factors one(kind, 1, 0);
  EXPECT(cudnnSoftmaxForward(nullptr, algorithm, mode, one.alpha(), xd.p, x.data(), one.beta(), yd.p, y.data()) == 0, "softmax is refused");
  expect("softmax", y, [&](const std::vector<int> &at, double &size) {
    double sum = 0;
    x.each([&](const std::vector<int> &other) {
      if (other[0] == at[0] && (mode == 0 || (other[2] == at[2] && other[3] == at[3]))) sum += std::exp(x(other));
    });
    size = algorithm == 2 ? 5 : 1;
    return algorithm == 2 ? x(at) - std::log(sum) : std::exp(x(at)) / sum;
  });

  Array large = x; // no overflow where the greatest is taken away
  large.each([&](const std::vector<int> &at) { large.set(at, 1000); });
  EXPECT(cudnnSoftmaxForward(nullptr, 1, 0, one.alpha(), xd.p, large.data(), one.beta(), yd.p, y.data()) == 0, "softmax is refused");
  expect("softmax of large values", y, [&](const std::vector<int> &, double &size) { return size = 1, 1. / (xs[1] * xs[2] * xs[3]); });

  std::vector<int> as = xs;
  for (int &n : as) n = pick(0, 1) ? 1 : n;
  Array a = Array::random(kind, as, pick(0, 2)), before = Array::random(kind, xs, pick(0, 2)), c = before;
  TensorDescriptor ad(a), cd(c);
  Factors both(kind, 0.5, -2);
  EXPECT(cudnnAddTensor(nullptr, both.alpha(), ad.p, a.data(), both.beta(), cd.p, c.data()) == 0, "a sum is refused");
  expect("sum", c, [&](const std::vector<int> &at, double &size) {
    std::vector<int> from = at;
    for (size_t i = 0; i < 4; i++) from[i] = as[i] == 1 ? 0 : at[i];
    size = std::abs(0.5 * a(from)) + std::abs(2 * before(at));
    return 0.5 * a(from) - 2 * before(at);
  });

  int activation = pick(0, 5);
  void *f = nullptr;
  cudnnCreateActivationDescriptor(&f);
  EXPECT(cudnnSetActivationDescriptor(f, activation, 0, 0.7) == 0, "activation");
  EXPECT(cudnnActivationForward(nullptr, f, one.alpha(), xd.p, x.data(), one.beta(), yd.p, y.data()) == 0, "an activation is refused");
  cudnnDestroyActivationDescriptor(f);
  expect("activation " + std::to_string(activation), y, [&](const std::vector<int> &at, double &size) {
    double v = x(at);
    size = 1 + std::abs(v);
    switch (activation) {
    case 0: return 1 / (1 + std::exp(-v));
    case 1: return std::max(0., v);
    case 2: return std::tanh(v);
    case 3: return std::min(std::max(0., v), 0.7);
    case 4: return v > 0 ? v : 0.7 * (std::exp(v) - 1);
    default: return v;
    }
  });
}

void testReduction() {
  int kind = anyKind(), op = pick(0, 8), wanted = (op == 2 || op == 3 || op == 4) && pick(0, 1);
  std::vector<int> as = {pick(1, 4), pick(1, 5), pick(1, 4), pick(1, 3)}, cs = as;
  for (int &n : cs) n = pick(0, 1) ? 1 : n;
  Array a = Array::random(kind, as, pick(0, 2)), c(kind, cs, pick(0, 2));
  if (op == 1 || op == 8) // products of many halves would be nothing
    a.each([&](const std::vector<int> &at) { a.set(at, pick(0, 9) == 0 ? 0 : pickOf({-1, 1, 1, 1})); });
  if (wanted) // of equal values the first is named
    a.each([&](const std::vector<int> &at) { a.set(at, pick(-2, 2)); });
  TensorDescriptor ad(a), cd(c);
  void *r = nullptr;
  cudnnCreateReduceTensorDescriptor(&r);
  EXPECT(cudnnSetReduceTensorDescriptor(r, op, kind == kDouble ? kDouble : kFloat, 1, wanted, 0) == 0, "reduction");
  size_t bytes = 0, room = 0;
  EXPECT(cudnnGetReductionWorkspaceSize(nullptr, r, ad.p, cd.p, &bytes) == 0 && bytes > 0, "workspace");
  EXPECT(cudnnGetReductionIndicesSize(nullptr, r, ad.p, cd.p, &room) == 0, "indices");
  int elements = 1;
  for (int n : cs) elements *= n;
  EXPECT(room == (wanted ? 4 * size_t(elements) : 0), "room for indices");
  std::vector<char> workspace(bytes);
  std::vector<uint32_t> indices(size_t(elements), 99);
  Factors one(kind, 1, 0);
  EXPECT(cudnnReduceTensor(nullptr, r, indices.data(), room, workspace.data(), bytes - 1, one.alpha(), ad.p, a.data(), one.beta(), cd.p, c.data()) == 2000, "too small a workspace was taken");
  EXPECT(cudnnReduceTensor(nullptr, r, indices.data(), room, workspace.data(), bytes, one.alpha(), ad.p, a.data(), one.beta(), cd.p, c.data()) == 0, "a reduction is refused");
  cudnnDestroyReduceTensorDescriptor(r);
  int number = 0;
  expect("reduction " + std::to_string(op), c, [&](const std::vector<int> &at, double &size) {
    double sum = 0, product = 1, nonzero = 1, least = INFINITY, most = -INFINITY, widest = -1, sizes = 0, squares = 0, n = 0;
    uint32_t first = 0;
    a.each([&](const std::vector<int> &from) {
      for (size_t i = 0; i < 4; i++)
        if (cs[i] != 1 && from[i] != at[i]) return;
      double v = a(from);
      if ((op == 2 && v < least) || (op == 3 && v > most) || (op == 4 && std::abs(v) > widest)) first = uint32_t(n);
      sum += v, product *= v, nonzero *= v == 0 ? 1 : v, least = std::min(least, v), most = std::max(most, v);
      widest = std::max(widest, std::abs(v)), sizes += std::abs(v), squares += v * v, n++;
    });
    if (wanted) EXPECT(indices[size_t(number)] == first, "index %u of the extremum, not %u", indices[size_t(number)], first);
    number++;
    size = op == 0 || op == 6 ? sizes : op == 5 ? sizes / n : 1;
    double all[] = {sum, product, least, most, widest, sum / n, sizes, std::sqrt(squares), nonzero};
    if (op == 7) size = all[7];
    return all[op];
  });
}

void testNumbers() {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    virtualgpu::Half h = {uint16_t(bits)};
    _Float16 own;
    memcpy(&own, &h, 2);
    float f = float(own), got = virtualgpu::toFloat(h);
    EXPECT(f == got || (f != f && got != got), "half %x is %g, not %g", bits, got, f);
    // Each half, the middle to the next one, and both sides of it.
    float next = std::nextafter(f, INFINITY), middle = f + (f - float(_Float16(0))) * 0x1p-11f;
    for (float v : {f, next, std::nextafter(f, -INFINITY), middle, f * (1 + 0x1p-12f), f + 0x1p-25f, f + 0x1.8p-25f, f * 1.3f}) {
      _Float16 rounded = _Float16(v);
      uint16_t want;
      memcpy(&want, &rounded, 2);
      EXPECT(virtualgpu::toHalf(v).bits == want || v != v, "%a becomes half %x, not %x", double(v), virtualgpu::toHalf(v).bits, want);
    }
    virtualgpu::BFloat16 b = {uint16_t(bits)};
    float wide = virtualgpu::toFloat(b);
    EXPECT(wide != wide || virtualgpu::toBFloat16(wide).bits == bits, "bfloat16 %x does not come back", bits);
    if (std::isfinite(wide) && std::abs(wide) > 1e-30f && std::abs(wide) < 1e30f) {
      uint32_t u = bits << 16 | 0x8000, up = bits + (bits & 1); // the middle goes to the even one
      float tie;
      memcpy(&tie, &u, 4);
      EXPECT(virtualgpu::toBFloat16(tie).bits == up, "%a becomes bfloat16 %x, not %x", double(tie), virtualgpu::toBFloat16(tie).bits, up);
    }
  }
}

} // namespace

void testElements() {
  testNumbers();
  for (int i = 0; i < 100; i++) testPooling(), testNorm(), testSoftmaxAndSums(), testReduction();
}
