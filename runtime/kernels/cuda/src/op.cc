#include "op.h"

namespace ortrain {

Call::Call(const OrtApi *api, OrtKernelContext *context) : api_(api), context_(context) {
  check(api_->KernelContext_GetGPUComputeStream(context_, &stream_));
  device_ = int(reinterpret_cast<uintptr_t>(resource(kDevice)));
}

// The memory goes back to the provider's arena, which serves this stream alone.
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

void *Call::resource(int id) const {
  constexpr int kVersion = 3;  // of the list of resources
  void *r = nullptr;
  check(api_->KernelContext_GetResource(context_, kVersion, id, &r));
  return r;
}

const void *Call::input(size_t i) const {
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

void *Call::output(size_t i, const std::vector<int64_t> &shape) const {
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

void *Call::temporary(size_t bytes) {
  if (bytes == 0) return nullptr;
  if (allocator_ == nullptr) {
    OrtMemoryInfo *info = nullptr;
    check(api_->CreateMemoryInfo("Cuda", OrtArenaAllocator, device_, OrtMemTypeDefault, &info));
    OrtStatus *status = api_->KernelContext_GetAllocator(context_, info, &allocator_);
    api_->ReleaseMemoryInfo(info);
    check(status);
  }
  void *p = allocator_->Alloc(allocator_, bytes);
  if (p == nullptr) throw std::runtime_error("out of device memory");
  temporaries_.push_back(p);
  return p;
}

}  // namespace ortrain

// The version of the library's contract, for those who load it.
extern "C" __attribute__((visibility("default"))) int OrtrainCUDAKernelsVersion() { return 1; }
