// Convolution and its two gradients by cuDNN, on maps with channels last.

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

#include "cudnn.h"
#include "layout.h"
#include "op.h"

namespace ortrain {
namespace {

// kMostWorkspace is what an algorithm may take of the device's memory beside its
// operands.
constexpr size_t kMostWorkspace = size_t(1) << 30;

// Descriptor is one of cuDNN's.
class Descriptor {
 public:
  Descriptor(int (*create)(void **), int (*destroy)(void *)) : destroy_(destroy) { cudnn().check(create(&p_), "descriptor"); }
  ~Descriptor() { destroy_(p_); }
  Descriptor(const Descriptor &) = delete;
  operator void *() const { return p_; }

 private:
  void *p_ = nullptr;
  int (*destroy_)(void *);
};

// Geometry is a convolution as the node describes it.
struct Geometry {
  Geometry(const Attributes &a, bool half) : half(half) {
    x = a.ints("shape", 4), w = a.ints("weights", 4);
    auto o = a.ints("result", 2), s = a.ints("strides", 2), d = a.ints("dilations", 2), p = a.ints("pads", 4);
    y = {x[0], w[0], o[0], o[1]};
    window = {p[0], p[1], s[0], s[1], d[0], d[1], a.integer("group")};
  }
  size_t weights() const { return size_t(w[0] * w[1] * w[2] * w[3]); }
  bool half;
  std::vector<int64_t> x, w, y, window;
};

// Chosen is an algorithm with what it needs.
struct Chosen {
  int algorithm, math;
  size_t workspace;
};

// Convolution holds cuDNN's descriptors of a convolution and finds the algorithm
// of one of its passes at the first run: nodes alike share what was found, for as
// long as the process lives. Only algorithms whose results repeat are taken.
class Convolution {
 public:
  Convolution(const Geometry &g, const char *name, const Cudnn::Pass &pass) : g_(g), name_(name), pass_(pass) {
    const Cudnn &c = cudnn();
    const int type = g.half ? Cudnn::kHalf : Cudnn::kFloat;
    auto tensor = [&](void *d, const std::vector<int64_t> &s) {
      c.check(c.set_tensor(d, Cudnn::kChannelsLast, type, int(s[0]), int(s[1]), int(s[2]), int(s[3])), "tensor");
    };
    tensor(x, g.x);
    tensor(y, g.y);
    c.check(c.set_filter(w, type, Cudnn::kChannelsLast, int(g.w[0]), int(g.w[1]), int(g.w[2]), int(g.w[3])), "filter");
    const auto &v = g.window;
    c.check(c.set_conv(conv_, int(v[0]), int(v[1]), int(v[2]), int(v[3]), int(v[4]), int(v[5]), Cudnn::kCrossCorrelation, Cudnn::kFloat), "convolution");
    c.check(c.set_groups(conv_, int(v[6])), "groups");
  }

  // run computes the result of two operands. What the result held is lost.
  void run(Call &call, void *da, const void *a, void *db, const void *b, void *dr, void *r) {
    const Cudnn &c = cudnn();
    std::lock_guard<std::mutex> lock(mutex_);
    if (!found_) found_ = std::make_unique<Chosen>(choose(call, da, a, db, b, dr, r));
    c.check(c.set_math(conv_, found_->math), "math");
    const float one = 1, zero = 0;
    c.check(pass_.run(call.cudnn(), &one, da, a, db, b, conv_, found_->algorithm, call.temporary(found_->workspace), found_->workspace, &zero, dr, r),
            name_);
  }

  const Descriptor x{cudnn().create_tensor, cudnn().destroy_tensor}, y{cudnn().create_tensor, cudnn().destroy_tensor},
      w{cudnn().create_filter, cudnn().destroy_filter};

 private:
  Chosen choose(Call &call, void *da, const void *a, void *db, const void *b, void *dr, void *r) const {
    static std::mutex mutex;
    static std::map<std::vector<int64_t>, Chosen> known;
    std::vector<int64_t> key{int64_t(&pass_ - &cudnn().forward), g_.half, call.tf32(), call.heuristic(), call.device()};
    for (auto *part : {&g_.x, &g_.w, &g_.y, &g_.window}) key.insert(key.end(), part->begin(), part->end());
    std::lock_guard<std::mutex> lock(mutex);
    auto it = known.find(key);
    if (it == known.end()) it = known.emplace(key, search(call, da, a, db, b, dr, r)).first;
    return it->second;
  }

  Chosen search(Call &call, void *da, const void *a, void *db, const void *b, void *dr, void *r) const {
    const Cudnn &c = cudnn();
    c.check(c.set_math(conv_, g_.half ? Cudnn::kTensorMath : call.tf32() ? Cudnn::kDefaultMath : Cudnn::kFMAMath), "math");
    constexpr int kMost = 16;
    Cudnn::Performance found[kMost];
    int n = 0;
    size_t most = kMostWorkspace;
    c.check(pass_.suggest(call.cudnn(), da, db, conv_, dr, kMost, &n, found), name_);
    if (!call.heuristic()) {
      most = std::min(most, free_memory() / 2);
      size_t wanted = 0;
      for (int i = 0; i < n; i++)
        if (found[i].status == 0 && found[i].memory <= most) wanted = std::max(wanted, found[i].memory);
      // The provider's arena would keep for good what is tried here only once.
      DeviceMemory workspace(wanted);
      most = workspace.size();
      c.check(pass_.find(call.cudnn(), da, a, db, b, conv_, dr, r, kMost, &n, found, workspace.data(), most), name_);
    }
    for (int i = 0; i < n; i++)  // the fastest first
      if (found[i].status == 0 && found[i].deterministic == 1 && found[i].memory <= most) return {found[i].algorithm, found[i].math, found[i].memory};
    throw std::runtime_error(std::string("cuDNN has no algorithm for ") + name_ + " of " + described());
  }

  std::string described() const {
    std::string s = g_.half ? "float16" : "float32";
    auto list = [&](const char *what, const std::vector<int64_t> &v) {
      s += what;
      for (size_t i = 0; i < v.size(); i++) s += (i ? "x" : "") + std::to_string(v[i]);
    };
    list(" maps ", g_.x);
    list(" by weights ", g_.w);
    list(" to maps ", g_.y);
    list(" (padding, stride, dilation, groups ", g_.window);
    return s + ")";
  }

  Geometry g_;
  const char *name_;
  const Cudnn::Pass &pass_;
  Descriptor conv_{cudnn().create_conv, cudnn().destroy_conv};
  std::mutex mutex_;
  std::unique_ptr<Chosen> found_;
};

// ConvForward: x, w → conv(x, w).
class ConvForward {
 public:
  ConvForward(const Attributes &a, bool half) : g_(a, half), c_(g_, "the convolution", cudnn().forward) {}
  void run(Call &call) { c_.run(call, c_.x, call.input(0), c_.w, call.input(1), c_.y, call.output(0, g_.y)); }

 private:
  Geometry g_;
  Convolution c_;
};

// ConvGradInput: dy, w → dx.
class ConvGradInput {
 public:
  ConvGradInput(const Attributes &a, bool half) : g_(a, half), c_(g_, "a convolution's gradient of its input", cudnn().grad_input) {}
  void run(Call &call) { c_.run(call, c_.w, call.input(1), c_.y, call.input(0), c_.x, call.output(0, g_.x)); }

 private:
  Geometry g_;
  Convolution c_;
};

// ConvGradWeight: dy, x → dw, float32 in plain layout, O×I×kh×kw.
class ConvGradWeight {
 public:
  ConvGradWeight(const Attributes &a, bool half) : g_(a, half), c_(g_, "a convolution's gradient of its weights", cudnn().grad_weight) {}
  void run(Call &call) {
    void *dw = call.output(0, g_.w);
    const int64_t taps = g_.w[2] * g_.w[3];
    const bool as_it_is = !g_.half && (taps == 1 || g_.w[1] == 1);
    void *last = as_it_is ? dw : call.temporary(g_.weights() * (g_.half ? 2 : 4));
    c_.run(call, c_.x, call.input(1), c_.y, call.input(0), c_.w, last);
    if (!as_it_is) transpose(call.stream(), g_.half, last, false, dw, g_.w[0], taps, g_.w[1]);
  }

 private:
  Geometry g_;
  Convolution c_;
};

Operators<ConvForward> conv("ConvForward", "mm", 2, "m", 1);
Operators<ConvGradInput> conv_grad_input("ConvGradInput", "mm", 2, "m", 1);
Operators<ConvGradWeight> conv_grad_weight("ConvGradWeight", "mm", 2, "f", 1);

}  // namespace
}  // namespace ortrain
