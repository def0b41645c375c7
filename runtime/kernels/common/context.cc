#include "context.h"

#include <stdexcept>
#include <string>

namespace ortrain {

Context::~Context() {
  for (void *p : temporaries_) allocator_->Free(allocator_, p);
  if (allocator_ != nullptr) api_->ReleaseAllocator(allocator_);
}

void Context::check(OrtStatus *status) const {
  if (status == nullptr) return;
  std::string message = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw std::runtime_error(message);
}

const void *Context::input(size_t i) const {
  size_t n = 0;
  check(api_->KernelContext_GetInputCount(context_, &n));
  if (i >= n) return nullptr;
  const OrtValue *v = nullptr;
  check(api_->KernelContext_GetInput(context_, i, &v));
  if (v == nullptr) return nullptr;
  void *data = nullptr;
  check(api_->GetTensorMutableData(const_cast<OrtValue *>(v), &data));
  return data;
}

void *Context::output(size_t i, const std::vector<int64_t> &shape) const {
  size_t n = 0;
  check(api_->KernelContext_GetOutputCount(context_, &n));
  if (i >= n) return nullptr;
  OrtValue *v = nullptr;
  check(api_->KernelContext_GetOutput(context_, i, shape.data(), shape.size(), &v));
  if (v == nullptr) return nullptr;
  void *data = nullptr;
  check(api_->GetTensorMutableData(v, &data));
  return data;
}

void *Context::temporary(size_t bytes, OrtStatus *(*describe)(const OrtApi *, int, OrtMemoryInfo **), int device, const char *failed) {
  if (allocator_ == nullptr) {
    OrtMemoryInfo *info = nullptr;
    check(describe(api_, device, &info));
    OrtStatus *status = api_->KernelContext_GetAllocator(context_, info, &allocator_);
    api_->ReleaseMemoryInfo(info);
    check(status);
  }
  void *p = allocator_->Alloc(allocator_, bytes);
  if (p == nullptr) throw std::runtime_error(failed);
  temporaries_.push_back(p);
  return p;
}

}  // namespace ortrain
