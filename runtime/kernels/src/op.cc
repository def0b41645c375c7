#include "op.h"

namespace ortrain {

float *Call::temporary(size_t n) {
  auto host = [](const OrtApi *api, int, OrtMemoryInfo **info) { return api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, info); };
  return static_cast<float *>(Context::temporary(n * sizeof(float), host, 0, "out of memory"));
}

void Call::run(size_t tasks, void (*f)(void *, size_t), void *shared) const {
  check(api_->KernelContext_ParallelFor(context_, f, tasks, 0, shared));
}

}  // namespace ortrain

// The version of the library's contract, for those who load it.
extern "C" __attribute__((visibility("default"))) int OrtrainKernelsVersion() { return 1; }
