// Context is one execution of a kernel as ONNX Runtime hands it over: inputs,
// outputs, and memory of its arena until the call is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "onnxruntime_c_api.h"

namespace ortrain {

class Context {
 public:
  Context(const OrtApi *api, OrtKernelContext *context) : api_(api), context_(context) {}
  ~Context();
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;

 protected:
  // input returns an input's elements, nullptr for one that is left out.
  const void *input(size_t i) const;
  // output allocates output i with the given shape, nullptr if it is left out.
  void *output(size_t i, const std::vector<int64_t> &shape) const;
  // temporary allocates from the arena of the memory that describe tells of;
  // failed is the error where there is none left.
  void *temporary(size_t bytes, OrtStatus *(*describe)(const OrtApi *, int device, OrtMemoryInfo **info), int device, const char *failed);
  // check throws what a status tells, and releases it.
  void check(OrtStatus *status) const;

  const OrtApi *api_;
  OrtKernelContext *context_;

 private:
  OrtAllocator *allocator_ = nullptr;
  std::vector<void *> temporaries_;
};

}  // namespace ortrain
