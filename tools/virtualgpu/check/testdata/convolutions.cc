// cuDNN's convolution functions against the definition: random geometries,
// layouts, element types and factors.
#include "convolution.h"

extern "C" {
int cudnnCreate(void **);
int cudnnDestroy(void *);
int cudnnCreateTensorDescriptor(void **);
int cudnnDestroyTensorDescriptor(void *);
int cudnnSetTensorNdDescriptor(void *, int type, int rank, const int *sizes, const int *strides);
int cudnnGetTensorNdDescriptor(const void *, int asked, int *type, int *rank, int *sizes, int *strides);
int cudnnSetTensor4dDescriptor(void *, int format, int type, int n, int c, int h, int w);
int cudnnGetTensor4dDescriptor(const void *, int *type, int *n, int *c, int *h, int *w, int *ns, int *cs, int *hs, int *ws);
int cudnnCreateFilterDescriptor(void **);
int cudnnDestroyFilterDescriptor(void *);
int cudnnSetFilterNdDescriptor(void *, int type, int format, int rank, const int *sizes);
int cudnnCreateConvolutionDescriptor(void **);
int cudnnDestroyConvolutionDescriptor(void *);
int cudnnSetConvolutionNdDescriptor(void *, int rank, const int *pads, const int *strides, const int *dilations, int mode, int compute);
int cudnnSetConvolutionGroupCount(void *, int);
int cudnnGetConvolutionNdForwardOutputDim(const void *c, const void *x, const void *w, int rank, int *sizes);
int cudnnConvolutionForward(void *, const void *alpha, const void *xd, const void *x, const void *wd, const void *w, const void *c,
                            int algorithm, void *workspace, size_t bytes, const void *beta, const void *yd, void *y);
int cudnnConvolutionBackwardData(void *, const void *alpha, const void *wd, const void *w, const void *dyd, const void *dy, const void *c,
                                 int algorithm, void *workspace, size_t bytes, const void *beta, const void *dxd, void *dx);
int cudnnConvolutionBackwardFilter(void *, const void *alpha, const void *xd, const void *x, const void *dyd, const void *dy, const void *c,
                                   int algorithm, void *workspace, size_t bytes, const void *beta, const void *dwd, void *dw);
int cudnnGetConvolutionForwardWorkspaceSize(void *, const void *x, const void *w, const void *c, const void *y, int algorithm, size_t *);
int cudnnGetConvolutionBackwardDataWorkspaceSize(void *, const void *w, const void *dy, const void *c, const void *dx, int algorithm, size_t *);
int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *, const void *x, const void *dy, const void *c, const void *dw, int algorithm, size_t *);
int cudnnFindConvolutionBackwardFilterAlgorithmEx(void *, const void *xd, const void *x, const void *dyd, const void *dy, const void *c,
                                                  const void *dwd, void *dw, int asked, int *returned, void *found, void *workspace, size_t bytes);
int cudnnCreateActivationDescriptor(void **);
int cudnnDestroyActivationDescriptor(void *);
int cudnnSetActivationDescriptor(void *, int mode, int nan, double coefficient);
int cudnnConvolutionBiasActivationForward(void *, const void *alpha1, const void *xd, const void *x, const void *wd, const void *w,
                                          const void *c, int algorithm, void *workspace, size_t bytes, const void *alpha2,
                                          const void *zd, const void *z, const void *biasd, const void *bias, const void *activation,
                                          const void *yd, void *y);
}

namespace {

struct TensorDescriptor {
  void *p = nullptr;
  explicit TensorDescriptor(const Array &a) {
    cudnnCreateTensorDescriptor(&p);
    EXPECT(cudnnSetTensorNdDescriptor(p, a.kind, int(a.sizes.size()), a.sizes.data(), a.strides.data()) == 0, "tensor descriptor");
  }
  ~TensorDescriptor() { cudnnDestroyTensorDescriptor(p); }
};
struct FilterDescriptor {
  void *p = nullptr;
  FilterDescriptor(const Array &a, int layout) {
    cudnnCreateFilterDescriptor(&p);
    EXPECT(cudnnSetFilterNdDescriptor(p, a.kind, layout, int(a.sizes.size()), a.sizes.data()) == 0, "filter descriptor");
  }
  ~FilterDescriptor() { cudnnDestroyFilterDescriptor(p); }
};

void testOne(void *handle) {
  std::vector<int> xs, ws, ys;
  size_t rank = size_t(pickOf({1, 2, 2, 2, 3}));
  Geometry g = randomGeometry(rank, true, xs, ws, ys);
  int kind = pickOf({kFloat, kHalf, kDouble, kBFloat16}), layout = pick(0, 1);
  Array x = Array::random(kind, xs, pick(0, 2)), w = Array::random(kind, ws, layout), y = Array::random(kind, ys, pick(0, 2));
  TensorDescriptor xd(x), yd(y);
  FilterDescriptor wd(w, layout);
  void *c = nullptr;
  cudnnCreateConvolutionDescriptor(&c);
  EXPECT(cudnnSetConvolutionNdDescriptor(c, int(rank), g.before.data(), g.stride.data(), g.dilation.data(), g.flipped ? 0 : 1,
                                         kind == kDouble ? kDouble : kFloat) == 0, "convolution descriptor");
  EXPECT(cudnnSetConvolutionGroupCount(c, g.groups) == 0, "groups");
  std::vector<int> sizes(ys.size());
  EXPECT(cudnnGetConvolutionNdForwardOutputDim(c, xd.p, wd.p, int(ys.size()), sizes.data()) == 0 && sizes == ys, "output sizes");

  // Factors are double beside double tensors, float beside all others.
  double alphas[] = {1, pick(0, 1) ? 1 : normal()}, betas[] = {0, pick(0, 1) ? 0 : normal()};
  float alphaFloat = float(alphas[1]), betaFloat = float(betas[1]);
  double alpha = kind == kDouble ? alphas[1] : alphaFloat, beta = kind == kDouble ? betas[1] : betaFloat;
  const void *pa = kind == kDouble ? (void *)&alphas[1] : &alphaFloat, *pb = kind == kDouble ? (void *)&betas[1] : &betaFloat;

  for (int way = 0; way < 3; way++) {
    Array out = way == 0 ? y : way == 1 ? x : w, before = out;
    Sums sums(out);
    eachTerm(g, x, w, y, [&](auto &xi, auto &wi, auto &yi) {
      if (way == 0) sums.add(yi, x(xi) * w(wi));
      if (way == 1) sums.add(xi, y(yi) * w(wi));
      if (way == 2) sums.add(wi, x(xi) * y(yi));
    });
    size_t bytes = 0;
    int algorithm = pick(0, 1);
    if (way == 0) EXPECT(cudnnGetConvolutionForwardWorkspaceSize(handle, xd.p, wd.p, c, yd.p, algorithm, &bytes) == 0, "size");
    if (way == 1) EXPECT(cudnnGetConvolutionBackwardDataWorkspaceSize(handle, wd.p, yd.p, c, xd.p, algorithm, &bytes) == 0, "size");
    if (way == 2) EXPECT(cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, xd.p, yd.p, c, wd.p, algorithm, &bytes) == 0, "size");
    EXPECT(bytes > 0, "no workspace is asked for");
    auto call = [&](size_t given) {
      std::vector<char> workspace(given);
      if (way == 0) return cudnnConvolutionForward(handle, pa, xd.p, x.data(), wd.p, w.data(), c, algorithm, workspace.data(), given, pb, yd.p, out.data());
      if (way == 1) return cudnnConvolutionBackwardData(handle, pa, wd.p, w.data(), yd.p, y.data(), c, algorithm, workspace.data(), given, pb, xd.p, out.data());
      return cudnnConvolutionBackwardFilter(handle, pa, xd.p, x.data(), yd.p, y.data(), c, algorithm, workspace.data(), given, pb, wd.p, out.data());
    };
    EXPECT(call(bytes - 1) == 2000 && out.memory == before.memory, "a workspace one byte short was taken");
    if (beta == 0) // what is not read may be anything
      out.each([&](const std::vector<int> &at) { out.set(at, NAN); });
    EXPECT(call(bytes) == 0, "convolution %d is refused", way);
    expect("convolution " + std::to_string(way) + " of kind " + std::to_string(kind), out, [&](const std::vector<int> &at, double &size) {
      size = std::abs(alpha) * sums.size(at) + (beta == 0 ? 0 : std::abs(beta * before(at)));
      return alpha * sums.value(at) + (beta == 0 ? 0 : beta * before(at));
    });
  }

  // Bias, another summand and an activation in one function.
  Array z = Array::random(kind, ys, pick(0, 2)), bias = Array::random(kind, [&] { auto s = ys; for (size_t i = 0; i < s.size(); i++) if (i != 1) s[i] = 1; return s; }());
  TensorDescriptor zd(z), biasd(bias);
  void *relu = nullptr;
  cudnnCreateActivationDescriptor(&relu);
  EXPECT(cudnnSetActivationDescriptor(relu, 1, 1, 0) == 0, "activation");
  Sums sums(y);
  eachTerm(g, x, w, y, [&](auto &xi, auto &wi, auto &yi) { sums.add(yi, x(xi) * w(wi)); });
  size_t bytes = 0;
  cudnnGetConvolutionForwardWorkspaceSize(handle, xd.p, wd.p, c, yd.p, 1, &bytes);
  std::vector<char> workspace(bytes);
  Array out = y;
  EXPECT(cudnnConvolutionBiasActivationForward(handle, pa, xd.p, x.data(), wd.p, w.data(), c, 1, workspace.data(), bytes, pa, zd.p, z.data(),
                                               biasd.p, bias.data(), relu, yd.p, out.data()) == 0, "bias and activation");
  expect("convolution with bias and activation", out, [&](const std::vector<int> &at, double &size) {
    std::vector<int> channel(at.size());
    channel[1] = at[1];
    size = std::abs(alpha) * (sums.size(at) + std::abs(z(at))) + std::abs(bias(channel));
    return std::max(0., alpha * (sums.value(at) + z(at)) + bias(channel));
  });
  cudnnDestroyActivationDescriptor(relu);

  // A search runs the convolution, and names an algorithm with its workspace.
  struct { int algorithm, status; float time; size_t memory; int determinism, math, reserved[3]; } found = {};
  int returned = 0;
  cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, xd.p, yd.p, c, wd.p, 1, &bytes);
  workspace.assign(bytes, 0);
  Array dw = w;
  EXPECT(cudnnFindConvolutionBackwardFilterAlgorithmEx(handle, xd.p, x.data(), yd.p, y.data(), c, wd.p, dw.data(), 3, &returned, &found, workspace.data(), bytes) == 0 &&
             returned == 1 && found.status == 0 && found.algorithm == 1 && found.memory == bytes, "search");

  // Sizes that do not belong together are refused.
  auto wrong = ys;
  wrong.back()++;
  Array longer(kind, wrong);
  TensorDescriptor wrongd(longer);
  EXPECT(cudnnGetConvolutionForwardWorkspaceSize(handle, xd.p, wd.p, c, wrongd.p, 1, &bytes) == 2000, "a result of the wrong size was taken");
  cudnnDestroyConvolutionDescriptor(c);
}

} // namespace

void testConvolutions() {
  void *handle = nullptr;
  EXPECT(cudnnCreate(&handle) == 0, "handle");
  for (int i = 0; i < 150; i++) testOne(handle);

  void *t = nullptr;
  cudnnCreateTensorDescriptor(&t);
  int type, n, c, h, w, ns, cs, hs, ws, rank, sizes[8], strides[8];
  EXPECT(cudnnSetTensor4dDescriptor(t, 1, kHalf, 2, 3, 4, 5) == 0, "set");
  EXPECT(cudnnGetTensor4dDescriptor(t, &type, &n, &c, &h, &w, &ns, &cs, &hs, &ws) == 0, "get");
  EXPECT(type == kHalf && n == 2 && c == 3 && h == 4 && w == 5 && ns == 60 && cs == 1 && hs == 15 && ws == 3, "channels last");
  EXPECT(cudnnGetTensorNdDescriptor(t, 2, &type, &rank, sizes, strides) == 0 && rank == 4 && sizes[1] == 3 && strides[1] == 1, "get");
  EXPECT(cudnnSetTensor4dDescriptor(t, 2, kHalf, 2, 3, 4, 5) == 3000, "vectors of channels were taken");
  cudnnDestroyTensorDescriptor(t);
  cudnnDestroy(handle);
}
