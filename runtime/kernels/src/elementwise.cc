// A whole expression over flat vectors in one pass: an optimizer's update.

#include <algorithm>
#include <cmath>
#include <vector>

#include "op.h"

namespace ortrain {
namespace {

enum Code : int64_t { kAdd, kSub, kMul, kDiv, kMax, kMin, kNeg, kSqrt, kAbs, kSign };

// Elementwise: vectors of one length, then scalars → vectors of that length.
//
// The program is a list of instructions (code, a, b, destination) over
// registers. Registers begin with the inputs in order, then come the constants
// made of runs; instructions write the following ones, each once. Outputs name
// the registers to store. Each instruction works on a few hundred elements at a
// time, so that what lies between two of them never leaves the nearest cache.
class Elementwise {
 public:
  explicit Elementwise(const Attributes &a) {
    size_ = size_t(a.integer("size"));
    threads_ = size_t(a.integer("threads"));
    vectors_ = size_t(a.integer("vectors"));
    inputs_ = a.inputs();
    auto program = a.ints("program", 0);
    for (size_t i = 0; i + 4 <= program.size(); i += 4) program_.push_back({program[i], size_t(program[i + 1]), size_t(program[i + 2]), size_t(program[i + 3])});
    for (int64_t r : a.ints("results", 0)) results_.push_back(size_t(r));
    // The number of constants, then of each the number of its runs, then length and value in units of
    // the float's bits.
    auto runs = a.ints("runs", 0);
    for (size_t i = 1; i < runs.size();) {
      std::vector<Run> r;
      size_t n = size_t(runs[i++]), end = 0;
      if (n > (runs.size() - i) / 2) throw std::runtime_error("the runs are cut short");
      for (size_t k = 0; k < n; k++, i += 2) {
        union {
          uint32_t bits;
          float value;
        } v{uint32_t(runs[i + 1])};
        r.push_back({end += size_t(runs[i]), v.value});
      }
      if (end != size_) throw std::runtime_error("the runs do not fill the vector");
      runs_.push_back(r);
    }
    registers_ = inputs_ + runs_.size() + program_.size();
    if (vectors_ == 0 || vectors_ > inputs_) throw std::runtime_error("the number of vectors is wrong");
    for (size_t k = 0; k < program_.size(); k++) {
      const Instruction &i = program_[k];
      size_t to = inputs_ + runs_.size() + k;
      if (i.to != to || i.a >= to || i.b >= to) throw std::runtime_error("an instruction names a wrong register");
    }
    for (size_t r : results_)
      if (r < registers_ - program_.size() || r >= registers_) throw std::runtime_error("a result names a wrong register");
    // The registers that are kept in buffers are all but the vectors.
    from_.assign(registers_, -1);
    for (size_t k = 0; k < results_.size(); k++) from_[results_[k]] = int(k);
  }

  void run(Call &call) {
    std::vector<const float *> in;
    for (size_t i = 0; i < inputs_; i++) in.push_back(call.input(i));
    std::vector<float *> out;
    for (size_t k = 0; k < results_.size(); k++) out.push_back(call.output(k, {int64_t(size_)}));
    size_t tasks = std::min<size_t>(threads_ == 1 ? 1 : threads_ * 4, (size_ + kStep - 1) / kStep);
    float *buffers = call.temporary(tasks * registers_ * kStep);
    call.parallel(tasks, [&](size_t t) {
      range(in, out, buffers + t * registers_ * kStep, size_ * t / tasks, size_ * (t + 1) / tasks);
    });
  }

 private:
  static constexpr size_t kStep = 512;
  struct Instruction {
    int64_t code;
    size_t a, b, to;
  };
  struct Run {
    size_t end;
    float value;
  };

  void range(const std::vector<const float *> &in, const std::vector<float *> &out, float *buffers, size_t from, size_t to) const {
    std::vector<const float *> at(registers_);
    for (size_t i = vectors_; i < inputs_; i++) {
      std::fill_n(buffers + i * kStep, kStep, in[i][0]);
      at[i] = buffers + i * kStep;
    }
    std::vector<size_t> run(runs_.size(), 0);
    for (size_t p = from; p < to; p += kStep) {
      size_t n = std::min(kStep, to - p);
      for (size_t i = 0; i < vectors_; i++) at[i] = in[i] + p;
      for (size_t k = 0; k < runs_.size(); k++) {
        float *b = buffers + (inputs_ + k) * kStep;
        fill(runs_[k], run[k], p, n, b);
        at[inputs_ + k] = b;
      }
      for (const Instruction &i : program_) {
        float *d = from_[i.to] >= 0 ? out[size_t(from_[i.to])] + p : buffers + i.to * kStep;
        apply(i.code, at[i.a], at[i.b], d, n);
        at[i.to] = d;
      }
    }
  }

  static void fill(const std::vector<Run> &runs, size_t &r, size_t p, size_t n, float *b) {
    for (size_t i = 0; i < n;) {
      while (runs[r].end <= p + i) r++;
      size_t m = std::min(n, runs[r].end - p);
      std::fill(b + i, b + m, runs[r].value);
      i = m;
    }
  }

  static void apply(int64_t code, const float *a, const float *b, float *__restrict d, size_t n) {
    switch (code) {
      case kAdd: for (size_t i = 0; i < n; i++) d[i] = a[i] + b[i]; break;
      case kSub: for (size_t i = 0; i < n; i++) d[i] = a[i] - b[i]; break;
      case kMul: for (size_t i = 0; i < n; i++) d[i] = a[i] * b[i]; break;
      case kDiv: for (size_t i = 0; i < n; i++) d[i] = a[i] / b[i]; break;
      case kMax: for (size_t i = 0; i < n; i++) d[i] = a[i] > b[i] || a[i] != a[i] ? a[i] : b[i]; break;
      case kMin: for (size_t i = 0; i < n; i++) d[i] = a[i] < b[i] || a[i] != a[i] ? a[i] : b[i]; break;
      case kNeg: for (size_t i = 0; i < n; i++) d[i] = -a[i]; break;
      case kSqrt: for (size_t i = 0; i < n; i++) d[i] = std::sqrt(a[i]); break;
      case kAbs: for (size_t i = 0; i < n; i++) d[i] = std::fabs(a[i]); break;
      case kSign: for (size_t i = 0; i < n; i++) d[i] = a[i] > 0 ? 1.0f : a[i] < 0 ? -1.0f : a[i]; break;
      default: throw std::runtime_error("unknown instruction");
    }
  }

  size_t size_, threads_, vectors_, inputs_, registers_;
  std::vector<Instruction> program_;
  std::vector<size_t> results_;
  std::vector<std::vector<Run>> runs_;
  std::vector<int> from_;  // register → output, −1 for none
};

Operator<Elementwise> elementwise("Elementwise", 16, 1, 8, 1);

}  // namespace
}  // namespace ortrain
