// What every operator of the library is made of: a view of a call's inputs and
// outputs, the session's threads, temporary memory.
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

#include "../common/context.h"
#include "../common/definition.h"

namespace ortrain {

// Call is one execution of a kernel.
class Call : public Context {
 public:
  using Context::Context;

  // input returns an input's elements, nullptr for one that is left out.
  const float *input(size_t i) const { return static_cast<const float *>(Context::input(i)); }
  // output allocates output i with the given shape.
  float *output(size_t i, const std::vector<int64_t> &shape) const { return static_cast<float *>(Context::output(i, shape)); }
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
};

// Operator adds K under a name; required of its inputs and outputs must
// be given.
template <class K>
struct Operator : Definition {
  Operator(const char *name, size_t inputs, size_t required_inputs, size_t outputs, size_t required_outputs)
      : Definition(name, nullptr, make, run, release, floats(inputs), required_inputs, floats(outputs), required_outputs) {}

 private:
  static std::vector<Type> floats(size_t n) { return std::vector<Type>(n, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT); }
  static void *make(const Attributes &a) { return new K(a); }
  static void run(void *kernel, const OrtApi *api, OrtKernelContext *context) {
    Call call(api, context);
    static_cast<K *>(kernel)->run(call);
  }
  static void release(void *kernel) { delete static_cast<K *>(kernel); }
};

}  // namespace ortrain
