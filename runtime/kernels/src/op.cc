#include "op.h"

namespace ortrain {

Call::Call(const OrtApi *api, OrtKernelContext *context) : api_(api), context_(context) {}

Call::~Call() {
  for (void *p : temporaries_) allocator_->Free(allocator_, p);
  if (allocator_ != nullptr) api_->ReleaseAllocator(allocator_);
}

void Call::check(OrtStatus *status) const {
  if (status == nullptr) return;
  std::string message = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw std::runtime_error(message);
}

const float *Call::input(size_t i) const {
  size_t n = 0;
  check(api_->KernelContext_GetInputCount(context_, &n));
  if (i >= n) return nullptr;
  const OrtValue *v = nullptr;
  check(api_->KernelContext_GetInput(context_, i, &v));
  if (v == nullptr) return nullptr;
  void *data = nullptr;
  check(api_->GetTensorMutableData(const_cast<OrtValue *>(v), &data));
  return static_cast<const float *>(data);
}

float *Call::output(size_t i, const std::vector<int64_t> &shape) const {
  size_t n = 0;
  check(api_->KernelContext_GetOutputCount(context_, &n));
  if (i >= n) return nullptr;
  OrtValue *v = nullptr;
  check(api_->KernelContext_GetOutput(context_, i, shape.data(), shape.size(), &v));
  if (v == nullptr) return nullptr;
  void *data = nullptr;
  check(api_->GetTensorMutableData(v, &data));
  return static_cast<float *>(data);
}

float *Call::temporary(size_t n) {
  if (allocator_ == nullptr) {
    OrtMemoryInfo *info = nullptr;
    check(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &info));
    OrtStatus *status = api_->KernelContext_GetAllocator(context_, info, &allocator_);
    api_->ReleaseMemoryInfo(info);
    check(status);
  }
  void *p = allocator_->Alloc(allocator_, n * sizeof(float));
  if (p == nullptr) throw std::runtime_error("out of memory");
  temporaries_.push_back(p);
  return static_cast<float *>(p);
}

void Call::run(size_t tasks, void (*f)(void *, size_t), void *shared) const {
  check(api_->KernelContext_ParallelFor(context_, f, tasks, 0, shared));
}

}  // namespace ortrain

// The version of the library's contract, for those who load it.
extern "C" __attribute__((visibility("default"))) int OrtrainKernelsVersion() { return 1; }
