// Operation graphs: convolutions, their gradients, and what is done to each
// element of a result. A tensor between two operations is rounded to its type.
#include "convolution.h"
#include "cudnn_backend.h"
#include <set>

namespace virtualgpu {

namespace {

// The numbers of cudnnPointwiseMode_t.
enum PointwiseMode {
  add = 0, mul = 1, minimum = 2, maximum = 3, squareRoot = 4, divide = 6, subtract = 9, absolute = 10, exponential = 13,
  logarithm = 15, negative = 16, same = 21, reluForward = 100, tanhForward = 101, sigmoidForward = 102, eluForward = 103,
  softplusForward = 105, swishForward = 106
};

bool binary(int mode) { return mode == add || mode == mul || mode == minimum || mode == maximum || mode == divide || mode == subtract; }

bool known(int mode) {
  return binary(mode) || mode == squareRoot || mode == absolute || mode == exponential || mode == logarithm ||
         mode == negative || mode == same || (mode >= reluForward && mode <= eluForward) || mode == softplusForward ||
         mode == swishForward;
}

Tensor tensorOf(const Set &s) {
  return {typeOf(s.one<int>(tensorType, -1)), s.list<int64_t>(tensorSizes), s.list<int64_t>(tensorStrides)};
}
int64_t uid(const Set *s) { return s->one<int64_t>(tensorUid, -1); }

// Roles says which attributes of a convolution hold what.
struct Roles { Direction way; int convolution, x, w, y, alpha, beta; };

bool rolesOf(int kind, Roles &r) {
  switch (kind) {
  case convolutionForward: r = {forwards, forwardConvolution, forwardX, forwardW, forwardY, forwardAlpha, forwardBeta}; return true;
  case convolutionBackwardData: r = {toData, dataConvolution, dataX, dataW, dataY, dataAlpha, dataBeta}; return true;
  case convolutionBackwardFilter: r = {toFilter, filterConvolution, filterX, filterW, filterY, filterAlpha, filterBeta}; return true;
  default: return false;
  }
}

// result is the tensor that an operation makes, inputs are those that it needs.
const Set *result(const Set &op) {
  Roles r;
  if (!rolesOf(op.kind, r)) return op.set(pointwiseY);
  return op.set(r.way == forwards ? r.y : r.way == toData ? r.x : r.w);
}
std::vector<const Set *> inputs(const Set &op) {
  Roles r;
  std::vector<const Set *> all;
  if (rolesOf(op.kind, r)) all = {op.set(r.way == toData ? r.y : r.x), op.set(r.way == toFilter ? r.y : r.w)};
  else all = {op.set(pointwiseX), op.set(pointwiseB)};
  if (!all[1]) all.pop_back();
  return all;
}

// geometryOf reads a convolution; groups follow from the numbers of channels.
Status geometryOf(const Set &op, const Roles &r, Convolution &c) {
  const Set &d = *op.set(r.convolution);
  Tensor x = tensorOf(*op.set(r.x)), w = tensorOf(*op.set(r.w)), y = tensorOf(*op.set(r.y));
  int64_t groups = x.sizes.size() > 1 && w.sizes.size() > 1 && w.sizes[1] > 0 ? x.sizes[1] / w.sizes[1] : 0;
  Status s = geometry("operation graph", x, w, y, d.list<int64_t>(convolutionBefore), d.list<int64_t>(convolutionAfter),
                      d.list<int64_t>(convolutionStrides), d.list<int64_t>(convolutionDilations), groups, c);
  c.flipped = d.one<int>(convolutionMode, 1) == 0;
  Type compute = typeOf(d.one<int>(convolutionCompute, -1));
  if (s == success && (compute == Type::f64) != (x.type == Type::f64))
    return fail(notSupported, "operation graph: data type %d computed in %d", numberOf(x.type), numberOf(compute));
  return s;
}

Status checkPointwise(const Set &op) {
  int mode = op.set(pointwiseDescription)->one<int>(pointwiseMode, -1);
  if (!known(mode)) return fail(notSupported, "operation graph: pointwise mode %d", mode);
  if (binary(mode) != (op.set(pointwiseB) != nullptr))
    return fail(badParam, "operation graph: pointwise mode %d with the wrong number of inputs", mode);
  Tensor y = tensorOf(*op.set(pointwiseY));
  for (const Set *in : inputs(op)) {
    Tensor t = tensorOf(*in);
    if (!isReal(t.type) || !isReal(y.type)) return fail(notSupported, "operation graph: pointwise mode %d of integers", mode);
    if (broadcast(t, y.sizes).empty()) return fail(badParam, "operation graph: an input of pointwise mode %d does not fit the result", mode);
  }
  return success;
}

template <class C> C apply(const Set &d, int mode, C a, C b) {
  switch (mode) {
  case add: return a + b;
  case mul: return a * b;
  case minimum: return a < b ? a : b;
  case maximum: return a > b ? a : b;
  case divide: return a / b;
  case subtract: return a - b;
  case squareRoot: return std::sqrt(a);
  case absolute: return std::abs(a);
  case exponential: return std::exp(a);
  case logarithm: return std::log(a);
  case negative: return -a;
  case reluForward: {
    C lower = C(d.real(reluLower, 0)), upper = C(d.real(reluUpper, INFINITY)), slope = C(d.real(reluSlope, 0));
    return a < lower ? lower + slope * (a - lower) : a > upper ? upper : a;
  }
  case tanhForward: return std::tanh(a);
  case sigmoidForward: return 1 / (1 + std::exp(-a));
  case eluForward: return a >= 0 ? a : C(d.real(eluAlpha, 1)) * std::expm1(a);
  case softplusForward: return std::log1p(std::exp(C(d.real(softplusBeta, 1)) * a)) / C(d.real(softplusBeta, 1));
  case swishForward: return a / (1 + std::exp(-C(d.real(swishBeta, 1)) * a));
  default: return a;
  }
}

Status pointwise(const Set &op, const void *x, const void *b, void *y) {
  const Set &d = *op.set(pointwiseDescription);
  int mode = d.one<int>(pointwiseMode, -1);
  Tensor to = tensorOf(*op.set(pointwiseY));
  auto spread = [&](const Set *s) {
    Tensor t = tensorOf(*s);
    return Tensor{t.type, to.sizes, broadcast(t, to.sizes)};
  };
  return computing(typeOf(d.one<int>(pointwisePrecision, 0)), [&](auto zero) {
    using C = decltype(zero);
    C alpha1 = C(op.real(pointwiseAlpha1, 1)), alpha2 = C(op.real(pointwiseAlpha2, 1));
    auto left = dense<C>(spread(op.set(pointwiseX)), x), right = b ? dense<C>(spread(op.set(pointwiseB)), b) : Dense<C>{};
    std::vector<C> made(size_t(to.elements()));
    for (size_t i = 0; i < made.size(); i++) made[i] = apply<C>(d, mode, alpha1 * left.data[i], b ? alpha2 * right.data[i] : C(0));
    blend(to, y, made.data(), 1, 0);
  });
}

} // namespace

Status checkGraph(const Set &graph, size_t &workspace) {
  const Value *operations = graph.find(graphOperations);
  workspace = 256;
  for (auto &op : operations->sets) {
    Roles r;
    Convolution c;
    Status s = rolesOf(op->kind, r)             ? geometryOf(*op, r, c)
               : op->kind == pointwiseOperation ? checkPointwise(*op)
                                                : fail(notSupported, "operation graph: operation of type %d", op->kind);
    if (s != success) return s;
    if (rolesOf(op->kind, r)) workspace += workspaceSize(r.way, c);
  }
  return success;
}

Status runGraph(const Set &graph, const Set &pack, bool tf32) {
  size_t workspace = 0;
  Status s = checkGraph(graph, workspace);
  if (s != success) return s;
  char *buffer = pack.one<char *>(packWorkspace, nullptr);
  if (!buffer) return fail(badParam, "cudnnBackendExecute: needs %zu bytes of workspace and got none", workspace);
  s = useWorkspace(buffer, workspace);
  if (s != success) return s;

  // Where each tensor lies: in the device's memory, or, between two
  // operations, only here.
  auto &operations = graph.find(graphOperations)->sets;
  std::vector<int64_t> uids = pack.list<int64_t>(packUids);
  std::vector<char *> pointers = pack.list<char *>(packPointers);
  if (uids.size() != pointers.size()) return fail(badParam, "cudnnBackendExecute: %zu tensors and %zu pointers", uids.size(), pointers.size());
  std::map<int64_t, char *> given, memory;
  for (size_t i = 0; i < uids.size(); i++) given[uids[i]] = pointers[i];
  std::map<int64_t, std::vector<char>> between;
  std::set<int64_t> unmade;
  for (auto &op : operations) {
    const Set *made = result(*op);
    unmade.insert(uid(made));
    if (made->one<char>(tensorVirtual, 0)) {
      between[uid(made)].resize(extent(tensorOf(*made)));
      memory[uid(made)] = between[uid(made)].data();
    }
  }
  for (auto &op : operations) {
    auto tensors = inputs(*op);
    tensors.push_back(result(*op));
    for (const Set *t : tensors) {
      if (memory.count(uid(t))) continue;
      char *p = given[uid(t)];
      if (!p) return fail(badParam, "cudnnBackendExecute: no memory for tensor %lld", (long long)uid(t));
      s = reaching([&] { memory[uid(t)] = t->one<char>(tensorByValue, 0) ? p : reach(tensorOf(*t), p); });
      if (s != success) return s;
    }
  }

  // An operation waits for those that make its inputs, whatever their order.
  std::vector<bool> done(operations.size());
  for (size_t left = operations.size(); left > 0;) {
    size_t before = left;
    for (size_t i = 0; i < operations.size(); i++) {
      const Set &op = *operations[i];
      bool ready = !done[i];
      for (const Set *in : inputs(op)) ready = ready && !unmade.count(uid(in));
      if (!ready) continue;
      auto of = [&](int attribute) { return op.set(attribute) ? memory[uid(op.set(attribute))] : nullptr; };
      Roles r;
      if (rolesOf(op.kind, r)) {
        Convolution c;
        geometryOf(op, r, c);
        c.tf32 = tf32;
        s = convolve(r.way, c, tensorOf(*op.set(r.x)), of(r.x), tensorOf(*op.set(r.w)), of(r.w), tensorOf(*op.set(r.y)), of(r.y),
                     op.real(r.alpha, 1), op.real(r.beta, 0));
      } else {
        s = pointwise(op, of(pointwiseX), of(pointwiseB), of(pointwiseY));
      }
      if (s != success) return s;
      unmade.erase(uid(result(op)));
      done[i] = true, left--;
    }
    if (left == before) return fail(badParam, "cudnnBackendExecute: the operations wait for each other");
  }
  return success;
}

} // namespace virtualgpu
