// What every operator of the library is made of: a view of a call's inputs and
// outputs, the session's threads, temporary memory, and a base class that
// turns a kernel into ONNX Runtime's table of functions.
//
// All tensors are float32. Maps are in channel blocks, N×C/B×H×W×B, declared
// with the plain shape N×C×H×W. Shapes are static and arrive as attributes, so
// a kernel prepares everything when the session is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnxruntime_c_api.h"

namespace ortrain {

// The version of the operators' contract; graphs/lower and this library must
// agree on it.
constexpr const char *kDomain = "ai.ortrain";

// Attributes reads a node's attributes when its kernel is made.
class Attributes {
 public:
  Attributes(const OrtApi *api, const OrtKernelInfo *info) : api_(api), info_(info) {}
  int64_t integer(const char *name) const;
  float number(const char *name) const;
  // ints returns a list of exactly n integers, or of any length for n = 0.
  std::vector<int64_t> ints(const char *name, size_t n) const;
  size_t inputs() const;
  size_t outputs() const;

 private:
  void check(OrtStatus *status, const char *name) const;
  const OrtApi *api_;
  const OrtKernelInfo *info_;
};

// Call is one execution of a kernel.
class Call {
 public:
  Call(const OrtApi *api, OrtKernelContext *context);
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  // input returns an input's elements, nullptr for one that is left out.
  const float *input(size_t i) const;
  // output allocates output i with the given shape.
  float *output(size_t i, const std::vector<int64_t> &shape) const;
  // temporary returns memory for n floats, aligned for vectors, until the call
  // is over.
  float *temporary(size_t n);
  // parallel runs f(0) … f(tasks−1) on the session's own threads.
  template <class F>
  void parallel(size_t tasks, const F &f) const {
    if (tasks == 1) return f(0);
    struct Shared {
      const F *f;
      std::exception_ptr failed;
    } shared{&f, nullptr};
    run(tasks, [](void *p, size_t i) {
      auto *s = static_cast<Shared *>(p);
      try {
        (*s->f)(i);
      } catch (...) {
        s->failed = std::current_exception();
      }
    }, &shared);
    if (shared.failed) std::rethrow_exception(shared.failed);
  }

 private:
  void run(size_t tasks, void (*f)(void *, size_t), void *shared) const;
  void check(OrtStatus *status) const;
  const OrtApi *api_;
  OrtKernelContext *context_;
  OrtAllocator *allocator_ = nullptr;
  std::vector<void *> temporaries_;
};

// Kernel is one node's operator.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(Call &call) = 0;
};

// Definition is an operator as ONNX Runtime sees it.
struct Definition : OrtCustomOp {
  using Make = std::unique_ptr<Kernel> (*)(const Attributes &);
  // required of the inputs and outputs must be given.
  Definition(const char *name, Make make, size_t inputs, size_t required_inputs, size_t outputs, size_t required_outputs);
  const char *name;
  Make make;
  size_t n_inputs, n_required_inputs, n_outputs, n_required_outputs;
};

// definitions lists every operator of the library.
std::vector<Definition *> &definitions();

template <class K>
std::unique_ptr<Kernel> make_kernel(const Attributes &a) {
  return std::make_unique<K>(a);
}

}  // namespace ortrain
