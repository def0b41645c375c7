// Operation graphs through the backend API: convolutions in all three
// directions, with what follows them element by element.
#include "convolution.h"

extern "C" {
int cudnnBackendCreateDescriptor(int type, void **);
int cudnnBackendDestroyDescriptor(void *);
int cudnnBackendSetAttribute(void *, int name, int type, int64_t count, const void *);
int cudnnBackendGetAttribute(const void *, int name, int type, int64_t asked, int64_t *count, void *);
int cudnnBackendFinalize(void *);
int cudnnBackendExecute(void *handle, const void *plan, const void *pack);
}

namespace {

enum { tDataType = 1, tBool = 2, tInt64 = 3, tFloat = 4, tDouble = 5, tPointer = 6, tConvolutionMode = 7, tHeuristics = 8, tPointwise = 14, tDescriptor = 15 };

struct Descriptor {
  void *p = nullptr;
  explicit Descriptor(int type) { EXPECT(cudnnBackendCreateDescriptor(type, &p) == 0, "descriptor of type %d", type); }
  Descriptor(const Descriptor &) = delete;
  ~Descriptor() { cudnnBackendDestroyDescriptor(p); }
  template <class T> void set(int name, int type, const std::vector<T> &v) {
    EXPECT(cudnnBackendSetAttribute(p, name, type, int64_t(v.size()), v.data()) == 0, "attribute %d", name);
  }
  void wide(int name, const std::vector<int> &v) { set(name, tInt64, std::vector<int64_t>(v.begin(), v.end())); }
  void finalize() { EXPECT(cudnnBackendFinalize(p) == 0, "finalize"); }
};

void describe(Descriptor &d, const Array &a, int64_t uid, bool between) {
  d.set<int>(901, tDataType, {a.kind});
  d.wide(902, a.sizes), d.wide(903, a.strides);
  d.set<int64_t>(906, tInt64, {uid}), d.set<int64_t>(900, tInt64, {16}), d.set<char>(907, tBool, {char(between)});
  d.finalize();
}

// testOne runs a graph of one convolution, or, forwards, of a convolution, the
// sum with a bias and an activation.
void testOne(int way) {
  std::vector<int> xs, ws, ys;
  Geometry g = randomGeometry(size_t(pickOf({1, 2, 2, 3})), false, xs, ws, ys);
  int kind = pickOf({kFloat, kHalf, kDouble, kBFloat16});
  Array x = Array::random(kind, xs, pick(0, 2)), w = Array::random(kind, ws, pick(0, 1)), y = Array::random(kind, ys, pick(0, 2));
  std::vector<int> biasSizes(ys.size(), 1);
  biasSizes[1] = ys[1];
  Array bias = Array::random(kind, biasSizes);
  bool chain = way == 0 && pick(0, 1);
  Sums sums(way == 0 ? y : way == 1 ? x : w);
  eachTerm(g, x, w, y, [&](auto &xi, auto &wi, auto &yi) {
    if (way == 0) sums.add(yi, x(xi) * w(wi));
    if (way == 1) sums.add(xi, y(yi) * w(wi));
    if (way == 2) sums.add(wi, x(xi) * y(yi));
  });

  Descriptor xd(17), wd(17), yd(17), bd(17), sumd(17), outd(17);
  describe(xd, x, 1, false), describe(wd, w, 2, false), describe(yd, y, 3, chain), describe(bd, bias, 4, false);
  describe(sumd, y, 5, true), describe(outd, y, 6, false);
  Descriptor operation(way == 0 ? 10 : way == 1 ? 12 : 11), add(13), relu(13);
  {
    // The description of a convolution may end before its operation does.
    Descriptor c(1);
    c.set<int>(100, tDataType, {kind == kDouble ? kDouble : kFloat}), c.set<int>(101, tConvolutionMode, {g.flipped ? 0 : 1});
    c.wide(102, g.dilation), c.wide(103, g.stride), c.wide(104, g.after), c.wide(105, g.before), c.wide(106, {int(g.stride.size())});
    c.finalize();
    int first = way == 0 ? 700 : way == 1 ? 706 : 712;
    operation.set<double>(first, tDouble, {1}), operation.set<float>(first + 1, tFloat, {0});
    operation.set<void *>(first + 2, tDescriptor, {c.p});
    operation.set<void *>(first + 3, tDescriptor, {wd.p}), operation.set<void *>(first + 4, tDescriptor, {xd.p}), operation.set<void *>(first + 5, tDescriptor, {yd.p});
    operation.finalize();
    auto pointwise = [&](Descriptor &op, int mode, void *left, void *right, void *to) {
      Descriptor d(0);
      d.set<int>(0, tPointwise, {mode}), d.set<int>(1, tDataType, {kind == kDouble ? kDouble : kFloat});
      d.finalize();
      op.set<void *>(750, tDescriptor, {d.p}), op.set<void *>(751, tDescriptor, {left}), op.set<void *>(753, tDescriptor, {to});
      if (right) op.set<void *>(752, tDescriptor, {right});
      op.finalize();
    };
    pointwise(add, 0, yd.p, bd.p, sumd.p), pointwise(relu, 100, sumd.p, nullptr, outd.p);
  }

  Descriptor graph(15), heuristics(4), config(3), plan(5), pack(16);
  void *handle = &graph;
  graph.set<void *>(800, 0, {handle});
  graph.set<void *>(801, tDescriptor, chain ? std::vector<void *>{relu.p, operation.p, add.p} : std::vector<void *>{operation.p});
  graph.finalize();
  heuristics.set<void *>(201, tDescriptor, {graph.p}), heuristics.set<int>(200, tHeuristics, {3});
  EXPECT(cudnnBackendSetAttribute(plan.p, 401, tDescriptor, 1, &config.p) == 2000, "a descriptor that is not finalized was taken");
  heuristics.finalize();
  int64_t count = 0, workspaceSize = 0;
  EXPECT(cudnnBackendGetAttribute(heuristics.p, 202, tDescriptor, 0, &count, nullptr) == 0 && count == 1, "count of results");
  EXPECT(cudnnBackendGetAttribute(heuristics.p, 202, tDescriptor, 1, &count, &config.p) == 0, "result");
  plan.set<void *>(400, 0, {handle}), plan.set<void *>(401, tDescriptor, {config.p});
  plan.finalize();
  EXPECT(cudnnBackendGetAttribute(plan.p, 402, tInt64, 1, nullptr, &workspaceSize) == 0 && workspaceSize > 0, "workspace");

  Array out = way == 0 ? y : way == 1 ? x : w;
  out.each([&](const std::vector<int> &at) { out.set(at, NAN); });
  std::vector<char> workspace{};
  workspace.resize(size_t(workspaceSize));
  std::vector<void *> pointers = {x.data(), w.data(), y.data(), bias.data()};
  std::vector<int64_t> uids = {1, 2, 3, 4};
  if (chain) pointers[2] = out.data(), uids[2] = 6;
  else pointers[way == 0 ? 2 : way == 1 ? 0 : 1] = out.data();
  pack.set(1001, tPointer, pointers), pack.set(1000, tInt64, uids), pack.set<void *>(1003, tPointer, {workspace.data()});
  pack.finalize();
  EXPECT(cudnnBackendExecute(handle, plan.p, pack.p) == 0, "execute");
  expect("graph " + std::to_string(way) + (chain ? " with bias and activation" : ""), out, [&](const std::vector<int> &at, double &size) {
    std::vector<int> channel(at.size());
    channel[1] = at[1];
    size = sums.size(at);
    double v = sums.value(at);
    if (!chain) return v;
    size = 3 * (size + std::abs(bias(channel))); // what lies between the operations is rounded
    return std::max(0., v + bias(channel));
  });
}

// testTF32 runs y = x·w for one channel and pixel by both engines: the one with
// tensor cores sees 10 bits of the factors, and says so by a note.
void testTF32() {
  setenv("VIRTUALGPU_TF32", "1", 1);
  Array x(kFloat, {1, 1, 1, 1}), w = x, y = x;
  float full = 1 + 0x1p-10f + 0x1.8p-11f, rounded = 1 + 0x1p-9f;
  x.set({0, 0, 0, 0}, full), w.set({0, 0, 0, 0}, 1);
  Descriptor xd(17), wd(17), yd(17), c(1), operation(10), graph(15), heuristics(4), first(3), second(3);
  describe(xd, x, 1, false), describe(wd, w, 2, false), describe(yd, y, 3, false);
  c.set<int>(100, tDataType, {kFloat}), c.set<int>(101, tConvolutionMode, {1});
  c.wide(102, {1, 1}), c.wide(103, {1, 1}), c.wide(104, {0, 0}), c.wide(105, {0, 0}), c.wide(106, {2});
  c.finalize();
  operation.set<void *>(702, tDescriptor, {c.p}), operation.set<void *>(703, tDescriptor, {wd.p});
  operation.set<void *>(704, tDescriptor, {xd.p}), operation.set<void *>(705, tDescriptor, {yd.p});
  operation.finalize();
  graph.set<void *>(801, tDescriptor, {operation.p});
  graph.finalize();
  heuristics.set<void *>(201, tDescriptor, {graph.p}), heuristics.set<int>(200, tHeuristics, {0});
  heuristics.finalize();
  void *configs[] = {first.p, second.p};
  int64_t count = 0;
  EXPECT(cudnnBackendGetAttribute(heuristics.p, 202, tDescriptor, 2, &count, configs) == 0 && count == 2, "two engines");
  for (int i = 0; i < 2; i++) {
    Descriptor engine(2), plan(5), pack(16);
    EXPECT(cudnnBackendGetAttribute(configs[i], 300, tDescriptor, 1, &count, &engine.p) == 0, "engine");
    EXPECT(cudnnBackendGetAttribute(engine.p, 1303, 11, 9, &count, nullptr) == 0 && count == 1 - i, "notes of engine %d", i);
    plan.set<void *>(401, tDescriptor, {configs[i]});
    plan.finalize();
    int64_t size = 0;
    cudnnBackendGetAttribute(plan.p, 402, tInt64, 1, nullptr, &size);
    std::vector<char> workspace{};
    workspace.resize(size_t(size));
    pack.set<void *>(1001, tPointer, {x.data(), w.data(), y.data()}), pack.set<int64_t>(1000, tInt64, {1, 2, 3});
    pack.set<void *>(1003, tPointer, {workspace.data()});
    pack.finalize();
    EXPECT(cudnnBackendExecute(&count, plan.p, pack.p) == 0 && y({0, 0, 0, 0}) == (i == 0 ? rounded : full), "engine %d gives %a", i, y({0, 0, 0, 0}));
  }
  unsetenv("VIRTUALGPU_TF32");
}

} // namespace

void testGraphs() {
  testTF32();
  for (int i = 0; i < 150; i++) testOne(i % 3);
  void *p = nullptr;
  EXPECT(cudnnBackendCreateDescriptor(18, &p) == 3000, "a product of matrices was taken"); // CUDNN_BACKEND_MATMUL_DESCRIPTOR
}
