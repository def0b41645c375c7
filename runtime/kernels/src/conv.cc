// Convolution and its two gradients on oneDNN, a thread of the session an
// image range, each with primitives of its own that run on that one thread.
//
// What follows a convolution in a training step is done while its result is in
// the cache: the residual sum and the batch statistics behind the forward
// pass; the sum of gradients, the rectifier's gradient and the sums that batch
// normalisation's gradient needs behind the input gradient.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <dnnl.hpp>

#include "channels.h"
#include "maps.h"
#include "op.h"

namespace ortrain {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

dnnl::engine &cpu() {
  static dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

// serial makes oneDNN work on the calling thread alone: the threads are the
// session's.
void serial() {
  if (omp_get_max_threads() != 1) omp_set_num_threads(1);
}

// kHot is what one range of images may take of a core's second-level cache, in
// floats.
constexpr size_t kHot = 96 * 1024;

// Geometry is a convolution as the node describes it.
struct Geometry {
  explicit Geometry(const Attributes &a) {
    auto x = a.ints("shape", 4);
    auto w = a.ints("weights", 4);
    auto o = a.ints("result", 2);
    auto st = a.ints("strides", 2), di = a.ints("dilations", 2), pa = a.ints("pads", 4);
    groups = a.integer("group");
    block = size_t(a.integer("block"));
    threads = size_t(a.integer("threads"));
    if (block != 8 && block != 16) throw std::runtime_error("blocks must have 8 or 16 channels");
    n = size_t(x[0]), c = size_t(x[1]), k = size_t(w[0]);
    in = {x[0], x[1], x[2], x[3]};
    out = {x[0], w[0], o[0], o[1]};
    w_plain = {w[0], w[1], w[2], w[3]};
    w_dims = groups == 1 ? memory::dims{w[0], w[1], w[2], w[3]} : memory::dims{groups, w[0] / groups, w[1], w[2], w[3]};
    strides = {st[0], st[1]};
    dilations = {di[0] - 1, di[1] - 1};
    before = {pa[0], pa[1]};
    // oneDNN wants the padding after the map that the result needs, which may
    // be less than is declared, or even negative.
    after = {(o[0] - 1) * st[0] + (w[2] - 1) * di[0] + 1 - x[2] - pa[0], (o[1] - 1) * st[1] + (w[3] - 1) * di[1] + 1 - x[3] - pa[1]};
    plain_in = c % block != 0;
    in_size = c * size_t(x[2] * x[3]), out_size = k * size_t(o[0] * o[1]), w_size = size_t(w[0] * w[1] * w[2] * w[3]);
  }
  Tag tag() const { return block == 16 ? Tag::nChw16c : Tag::nChw8c; }
  memory::desc src(size_t images, bool plain = false) const {
    memory::dims d = in;
    d[0] = int64_t(images);
    return {d, memory::data_type::f32, plain || plain_in ? Tag::nchw : tag()};
  }
  memory::desc dst(size_t images, bool plain = false) const {
    memory::dims d = out;
    d[0] = int64_t(images);
    return {d, memory::data_type::f32, plain ? Tag::nchw : tag()};
  }
  memory::desc any_weights() const { return {w_dims, memory::data_type::f32, Tag::any}; }
  memory::desc plain_weights() const { return {w_dims, memory::data_type::f32, groups == 1 ? Tag::oihw : Tag::goihw}; }
  dnnl::convolution_forward::primitive_desc forward(size_t images) const {
    return fast<dnnl::convolution_forward::primitive_desc>([&](bool plain) { return forward(images, plain); });
  }
  // gradient describes one of the convolution's gradients.
  template <class G>
  typename G::primitive_desc gradient(size_t images) const {
    using Description = typename G::primitive_desc;
    return fast<Description>([&](bool plain) {
      return Description({dnnl::algorithm::convolution_direct, src(images, plain), any_weights(), dst(images, plain), strides, dilations, before, after}, attr(), cpu(),
                         forward(images, plain));
    });
  }
  // range returns how many images to work on at a time: so few that what
  // follows finds the result in the cache, unless the weights would then be
  // read from memory again and again.
  size_t range() const {
    size_t share = (n + threads - 1) / threads;
    if (w_size > kHot) return share;
    return std::min(std::max<size_t>(kHot / (in_size + out_size), 1), share);
  }
  static dnnl::primitive_attr attr() {
    dnnl::primitive_attr a;
    a.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return a;
  }

 private:
  dnnl::convolution_forward::primitive_desc forward(size_t images, bool plain) const {
    return {{dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, src(images, plain), any_weights(), dst(images, plain), strides, dilations, before,
             after},
            attr(), cpu()};
  }
  // fast describes what is made for blocks, or, where oneDNN has but its
  // reference for them, a hundred times slower and less exact (on processors
  // with AVX2: weights of one-channel images, maps smaller than the filter,
  // dilated depthwise filters), a matrix product on plain maps.
  template <class D, class F>
  static D fast(const F &make) {
    D d = make(false);
    auto reference = [](const D &d) { return std::string(d.impl_info_str()).rfind("ref", 0) == 0; };
    if (!reference(d)) return d;
    D plain = make(true);
    return reference(plain) ? d : plain;
  }

 public:
  memory::dims in, out, w_dims, strides, dilations, before, after;
  std::vector<int64_t> w_plain;
  size_t n, c, k, in_size, out_size, w_size, block, threads;
  int64_t groups;
  bool plain_in;
};

// Argument is a primitive's, with how its numbers are arranged outside and how
// the primitive wants them.
struct Argument {
  int name;
  memory::desc outside, inside;
  bool result = false;
};

// Primitive is a oneDNN primitive for some number of images with the memory
// objects of one thread, whose addresses are set for each use. It rearranges the
// arguments that it wants otherwise.
class Primitive {
 public:
  using Arguments = std::vector<Argument>;
  // of makes the primitive of kind P that pd describes. Its addresses are given
  // in the order of its arguments.
  template <class P>
  static std::unique_ptr<Primitive> of(const typename P::primitive_desc &pd, const Arguments &arguments) {
    return std::make_unique<Primitive>(P(pd), pd, arguments);
  }
  template <class PD>
  Primitive(const dnnl::primitive &p, const PD &pd, const Arguments &arguments)
      : primitive_(p), stream_(cpu()), scratch_(pd.scratchpad_desc().get_size() / sizeof(float) + 16) {
    for (auto &a : arguments) {
      outside_.emplace_back(a.outside, cpu(), nullptr);
      rearranged_.emplace_back();
      if (a.outside == a.inside) {
        arguments_.push_back({a.name, outside_.back().get()});
        continue;
      }
      Rearranged &r = rearranged_.back();
      r.inside = memory(a.inside, cpu());
      arguments_.push_back({a.name, r.inside.get()});
      if (a.result) r.after = dnnl::reorder(r.inside, outside_.back());
      else r.before = dnnl::reorder(outside_.back(), r.inside);
    }
    if (pd.scratchpad_desc().get_size() > 0) {
      scratchpad_ = memory(pd.scratchpad_desc(), cpu(), scratch_.data());
      arguments_.push_back({DNNL_ARG_SCRATCHPAD, scratchpad_.get()});
    }
  }
  void operator()(std::initializer_list<const float *> addresses) {
    serial();
    size_t i = 0;
    for (const float *p : addresses) {
      memory &m = outside_[i];
      Rearranged &r = rearranged_[i++];
      dnnl::error::wrap_c_api(dnnl_memory_set_data_handle_v2(m.get(), const_cast<float *>(p), stream_.get()), "memory");
      if (r.before) r.before.execute(stream_, m, r.inside);
    }
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream_.get(), int(arguments_.size()), arguments_.data()), "execute");
    for (i = 0; i < rearranged_.size(); i++) {
      Rearranged &r = rearranged_[i];
      if (r.after) r.after.execute(stream_, r.inside, outside_[i]);
    }
  }

 private:
  // Rearranged is an argument in the primitive's own arrangement, brought there
  // before or from there after; none of it where the arrangements are one.
  struct Rearranged {
    memory inside;
    dnnl::reorder before, after;
  };
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<float> scratch_;
  memory scratchpad_;
  std::vector<memory> outside_;
  std::vector<Rearranged> rearranged_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

// agree notes how a kernel's primitives arrange the weights, which are brought
// into that form once for all of them.
void agree(memory::desc &all, const memory::desc &one) {
  if (all.is_zero()) all = one;
  else if (all != one) throw std::runtime_error("oneDNN arranges the weights by the batch");
}

void reorder(const memory::desc &from, const float *x, const memory::desc &to, float *y) {
  serial();
  dnnl::stream s(cpu());
  memory a(from, cpu(), const_cast<float *>(x)), b(to, cpu(), y);
  dnnl::reorder(a, b).execute(s, a, b);
}

// Slots are the ranges of images that are worked on as one, and the
// primitives for them: one for the usual length and one for a last, shorter
// range, for each thread.
template <class P>
class Slots {
 public:
  // make builds the primitive for a number of images.
  template <class F>
  void prepare(size_t images, size_t chunk, size_t threads, const F &make) {
    images_ = images, chunk_ = std::min(std::max<size_t>(chunk, 1), images);
    chunks_ = (images_ + chunk_ - 1) / chunk_;
    tasks_ = std::min(threads, chunks_);
    size_t last = images_ - (chunks_ - 1) * chunk_;
    for (size_t t = 0; t < tasks_; t++) {
      whole_.push_back(make(chunk_));
      if (last != chunk_) last_.push_back(make(last));
    }
  }
  // run calls f(primitive, first image, images) for every range.
  template <class F>
  void run(Call &call, const F &f) {
    std::atomic<size_t> next{0};
    call.parallel(tasks_, [&](size_t t) {
      for (size_t i; (i = next++) < chunks_;) {
        size_t first = i * chunk_, n = std::min(chunk_, images_ - first);
        f(n == chunk_ ? *whole_[t] : *last_[t], first, n);
      }
    });
  }

 private:
  size_t images_ = 0, chunk_ = 0, chunks_ = 0, tasks_ = 0;
  std::vector<std::unique_ptr<P>> whole_, last_;
};

// ConvForward: x, w and perhaps s → conv(x, w) + s, and perhaps the mean and biased
// variance of every channel. w is O×I×kh×kw.
class Conv {
 public:
  explicit Conv(const Attributes &a) : g_(a), statistics_(a.integer("statistics") != 0) {
    serial();
    slots_.prepare(g_.n, g_.range(), g_.threads, [&](size_t n) {
      auto pd = g_.forward(n);
      agree(weights_, pd.weights_desc());
      return Primitive::of<dnnl::convolution_forward>(pd, {{DNNL_ARG_SRC, g_.src(n), pd.src_desc()}, {DNNL_ARG_WEIGHTS, weights_, weights_}, {DNNL_ARG_DST, g_.dst(n), pd.dst_desc(), true}});
    });
  }
  void run(Call &call) {
    if (g_.block == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *x = call.input(0), *w = call.input(1), *add = call.input(2);
    float *y = call.output(0, {int64_t(g_.n), int64_t(g_.k), g_.out[2], g_.out[3]});
    float *wr = call.temporary(weights_.get_size() / sizeof(float));
    reorder(g_.plain_weights(), w, weights_, wr);
    size_t pixels = size_t(g_.out[2] * g_.out[3]), blocks = g_.k / B;
    float *mean = nullptr, *m2 = nullptr;
    if (statistics_) mean = call.temporary(g_.n * g_.k), m2 = call.temporary(g_.n * g_.k);
    slots_.run(call, [&](Primitive &p, size_t first, size_t n) {
      float *ys = y + first * g_.out_size;
      p({x + first * g_.in_size, wr, ys});
      if (add != nullptr) add_mask<B>(ys, add + first * g_.out_size, nullptr, n * blocks * pixels);
      if (!statistics_) return;
      for (size_t u = 0; u < n * blocks; u++) {
        size_t at = first * g_.k + u * B;
        moments<B>(ys + u * pixels * B, pixels, mean + at, m2 + at);
      }
    });
    if (statistics_)
      combine_moments(mean, m2, g_.n, g_.k, pixels, call.output(1, {int64_t(g_.k)}), call.output(2, {int64_t(g_.k)}));
  }
  Geometry g_;
  bool statistics_;
  memory::desc weights_;
  Slots<Primitive> slots_;
};

// ConvGradInput: dy, w and perhaps a, y, x, mean → g = [y > 0]·(dx + a), and
// perhaps Σg and Σg·(x − mean) of every channel: y is the output of the
// rectifier that made the convolution's input, x the input of the batch norm
// before that, mean its mean.
class ConvGradInput {
 public:
  explicit ConvGradInput(const Attributes &a) : g_(a), sums_(a.integer("sums") != 0) {
    serial();
    slots_.prepare(g_.n, g_.range(), g_.threads, [&](size_t n) {
      auto pd = g_.gradient<dnnl::convolution_backward_data>(n);
      agree(weights_, pd.weights_desc());
      return Primitive::of<dnnl::convolution_backward_data>(pd, {{DNNL_ARG_DIFF_DST, g_.dst(n), pd.diff_dst_desc()}, {DNNL_ARG_WEIGHTS, weights_, weights_}, {DNNL_ARG_DIFF_SRC, g_.src(n), pd.diff_src_desc(), true}});
    });
  }
  void run(Call &call) {
    if (g_.block == 16) compute<16>(call);
    else compute<8>(call);
  }

 private:
  template <int B>
  void compute(Call &call) {
    const float *dy = call.input(0), *w = call.input(1), *add = call.input(2), *y = call.input(3), *x = call.input(4), *mean = call.input(5);
    float *dx = call.output(0, {int64_t(g_.n), int64_t(g_.c), g_.in[2], g_.in[3]});
    float *wr = call.temporary(weights_.get_size() / sizeof(float));
    reorder(g_.plain_weights(), w, weights_, wr);
    size_t pixels = size_t(g_.in[2] * g_.in[3]), blocks = g_.c / B;
    float *sums = nullptr, *products = nullptr;
    if (sums_) sums = call.temporary(g_.n * g_.c), products = call.temporary(g_.n * g_.c);
    slots_.run(call, [&](Primitive &p, size_t first, size_t n) {
      size_t o = first * g_.in_size;
      float *d = dx + o;
      p({dy + first * g_.out_size, wr, d});
      add_mask<B>(d, add ? add + o : nullptr, y ? y + o : nullptr, n * blocks * pixels);
      if (!sums_) return;
      for (size_t u = 0; u < n * blocks; u++) {
        size_t at = first * g_.c + u * B, m = u * pixels * B;
        dots<B>(d + m, x + o + m, mean + u % blocks * B, pixels, sums + at, products + at);
      }
    });
    if (sums_) {
      combine_sums(sums, g_.n, g_.c, call.output(1, {int64_t(g_.c)}));
      combine_sums(products, g_.n, g_.c, call.output(2, {int64_t(g_.c)}));
    }
  }
  Geometry g_;
  bool sums_;
  memory::desc weights_;
  Slots<Primitive> slots_;
};

// ConvGradWeight: dy, x → dw O×I×kh×kw. Every thread sums over its own images;
// the threads' sums are added in order.
class ConvGradWeight {
 public:
  explicit ConvGradWeight(const Attributes &a) : g_(a) {
    serial();
    parts_ = std::min(g_.threads, g_.n);
    for (size_t t = 0; t < parts_; t++) {
      size_t n = g_.n * (t + 1) / parts_ - g_.n * t / parts_;
      auto pd = g_.gradient<dnnl::convolution_backward_weights>(n);
      agree(weights_, pd.diff_weights_desc());
      primitives_.push_back(Primitive::of<dnnl::convolution_backward_weights>(pd, {{DNNL_ARG_SRC, g_.src(n), pd.src_desc()}, {DNNL_ARG_DIFF_DST, g_.dst(n), pd.diff_dst_desc()}, {DNNL_ARG_DIFF_WEIGHTS, weights_, weights_, true}}));
    }
  }
  void run(Call &call) {
    const float *dy = call.input(0), *x = call.input(1);
    float *dw = call.output(0, g_.w_plain);
    size_t size = weights_.get_size() / sizeof(float);
    float *sums = call.temporary(size * parts_);
    call.parallel(parts_, [&](size_t t) {
      size_t first = g_.n * t / parts_;
      (*primitives_[t])({x + first * g_.in_size, dy + first * g_.out_size, sums + t * size});
    });
    if (parts_ > 1) {
      size_t tasks = size > 1 << 16 ? parts_ : 1;
      call.parallel(tasks, [&](size_t t) {
        for (size_t p = 1; p < parts_; p++) {
          const float *__restrict s = sums + p * size;
          float *__restrict d = sums;
          for (size_t i = size * t / tasks; i < size * (t + 1) / tasks; i++) d[i] += s[i];
        }
      });
    }
    reorder(weights_, sums, g_.plain_weights(), dw);
  }

 private:
  Geometry g_;
  size_t parts_;
  memory::desc weights_;
  std::vector<std::unique_ptr<Primitive>> primitives_;
};

Operator<Conv> conv("ConvForward", 3, 2, 3, 1);
Operator<ConvGradInput> conv_grad_input("ConvGradInput", 6, 2, 3, 1);
Operator<ConvGradWeight> conv_grad_weight("ConvGradWeight", 2, 2, 1, 1);

}  // namespace
}  // namespace ortrain
