// What every operator for CUDA is made of: a view of a call's inputs and outputs
// on the device, its stream and handles, temporary memory.
//
// Maps have their channels last, N×H×W×C, and are declared with the plain shape
// N×C×H×W; so are weights, which convolutions take as O×kh×kw×I. They are float32
// or float16; statistics, scales, shifts and the gradients of parameters are
// float32. Shapes are static and arrive as attributes.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../common/context.h"
#include "../../common/definition.h"
#include "device.h"

namespace ortrain {

class Call : public Context {
 public:
  Call(const OrtApi *api, OrtKernelContext *context);

  using Context::input;
  using Context::output;
  const float *floats(size_t i) const { return static_cast<const float *>(input(i)); }
  // temporary returns device memory until what the call has put on its stream is
  // done: it goes back to the provider's arena, which serves this stream alone.
  void *temporary(size_t bytes);

  Stream stream() const { return stream_; }
  int device() const { return device_; }
  // cudnn is the provider's handle of cuDNN, set to the stream.
  void *cudnn() const { return resource(kCudnn); }
  // tf32 and heuristic are the provider's options of these names.
  bool tf32() const { return resource(kTF32) != nullptr; }
  bool heuristic() const { return resource(kSearch) == reinterpret_cast<void *>(uintptr_t(1)); }

 private:
  // The numbers of the provider's resources (ONNX Runtime's cuda_resource.h).
  enum { kCudnn = 10001, kDevice = 10004, kSearch = 10006, kTF32 = 10011 };
  void *resource(int id) const;
  Stream stream_ = nullptr;
  int device_ = 0;
};

// Operators adds K under a name for float32 and for float16. The types are
// written as a letter for each input, and for each output: m for maps and what
// else is of either type, f for float32. required of each must be given.
template <class K>
struct Operators {
  Operators(const char *name, const char *inputs, size_t required_inputs, const char *outputs, size_t required_outputs)
      : floats_(name, kProvider, make<false>, run, release, types(inputs, false), required_inputs, types(outputs, false), required_outputs),
        halves_(name, kProvider, make<true>, run, release, types(inputs, true), required_inputs, types(outputs, true), required_outputs) {}

 private:
  static constexpr const char *kProvider = "CUDAExecutionProvider";
  static std::vector<Definition::Type> types(const char *letters, bool half) {
    std::vector<Definition::Type> t;
    for (; *letters; letters++)
      t.push_back(half && *letters == 'm' ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
    return t;
  }
  template <bool half>
  static void *make(const Attributes &a) {
    return new K(a, half);
  }
  static void run(void *kernel, const OrtApi *api, OrtKernelContext *context) {
    Call call(api, context);
    static_cast<K *>(kernel)->run(call);
  }
  static void release(void *kernel) { delete static_cast<K *>(kernel); }
  Definition floats_, halves_;
};

}  // namespace ortrain
