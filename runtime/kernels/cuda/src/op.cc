#include "op.h"

namespace ortrain {

Call::Call(const OrtApi *api, OrtKernelContext *context) : Context(api, context) {
  check(api_->KernelContext_GetGPUComputeStream(context_, &stream_));
  device_ = int(reinterpret_cast<uintptr_t>(resource(kDevice)));
}

void *Call::resource(int id) const {
  constexpr int kVersion = 3;  // of the list of resources
  void *r = nullptr;
  check(api_->KernelContext_GetResource(context_, kVersion, id, &r));
  return r;
}

void *Call::temporary(size_t bytes) {
  if (bytes == 0) return nullptr;
  auto here = [](const OrtApi *api, int device, OrtMemoryInfo **info) {
    return api->CreateMemoryInfo("Cuda", OrtArenaAllocator, device, OrtMemTypeDefault, info);
  };
  return Context::temporary(bytes, here, device_, "out of device memory");
}

}  // namespace ortrain

// The version of the library's contract, for those who load it.
extern "C" __attribute__((visibility("default"))) int OrtrainCUDAKernelsVersion() { return 1; }
