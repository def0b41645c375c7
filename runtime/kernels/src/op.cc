#include "op.h"

#include <cstring>

namespace ortrain {

namespace {

const OrtApi *g_api;

OrtStatus *failure(const std::exception &e) { return g_api->CreateStatus(ORT_RUNTIME_EXCEPTION, e.what()); }

}  // namespace

void Attributes::check(OrtStatus *status, const char *name) const {
  if (status == nullptr) return;
  std::string message = std::string("attribute ") + name + ": " + api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw std::runtime_error(message);
}

int64_t Attributes::integer(const char *name) const {
  int64_t v = 0;
  check(api_->KernelInfoGetAttribute_int64(info_, name, &v), name);
  return v;
}

float Attributes::number(const char *name) const {
  float v = 0;
  check(api_->KernelInfoGetAttribute_float(info_, name, &v), name);
  return v;
}

std::vector<int64_t> Attributes::ints(const char *name, size_t n) const {
  size_t have = 0;
  check(api_->KernelInfoGetAttributeArray_int64(info_, name, nullptr, &have), name);
  std::vector<int64_t> v(have);
  check(api_->KernelInfoGetAttributeArray_int64(info_, name, v.data(), &have), name);
  if (n != 0 && have != n) throw std::runtime_error(std::string("attribute ") + name + " has the wrong length");
  return v;
}

size_t Attributes::inputs() const {
  size_t n = 0;
  check(api_->KernelInfo_GetInputCount(info_, &n), "inputs");
  return n;
}

size_t Attributes::outputs() const {
  size_t n = 0;
  check(api_->KernelInfo_GetOutputCount(info_, &n), "outputs");
  return n;
}

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

Definition::Definition(const char *op, Make m, size_t inputs, size_t required_inputs, size_t outputs, size_t required_outputs)
    : OrtCustomOp{}, name(op), make(m), n_inputs(inputs), n_required_inputs(required_inputs), n_outputs(outputs),
      n_required_outputs(required_outputs) {
  version = ORT_API_VERSION;
  GetName = [](const OrtCustomOp *o) { return static_cast<const Definition *>(o)->name; };
  GetExecutionProviderType = [](const OrtCustomOp *) -> const char * { return nullptr; };
  GetInputType = [](const OrtCustomOp *, size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  GetOutputType = [](const OrtCustomOp *, size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  GetInputTypeCount = [](const OrtCustomOp *o) { return static_cast<const Definition *>(o)->n_inputs; };
  GetOutputTypeCount = [](const OrtCustomOp *o) { return static_cast<const Definition *>(o)->n_outputs; };
  GetInputCharacteristic = [](const OrtCustomOp *o, size_t i) {
    return i < static_cast<const Definition *>(o)->n_required_inputs ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  };
  GetOutputCharacteristic = [](const OrtCustomOp *o, size_t i) {
    return i < static_cast<const Definition *>(o)->n_required_outputs ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  };
  GetInputMemoryType = [](const OrtCustomOp *, size_t) { return OrtMemTypeDefault; };
  GetVariadicInputMinArity = [](const OrtCustomOp *) { return 0; };
  GetVariadicInputHomogeneity = [](const OrtCustomOp *) { return 0; };
  GetVariadicOutputMinArity = [](const OrtCustomOp *) { return 0; };
  GetVariadicOutputHomogeneity = [](const OrtCustomOp *) { return 0; };
  GetStartVersion = [](const OrtCustomOp *) { return 1; };
  GetEndVersion = [](const OrtCustomOp *) { return 1; };
  CreateKernelV2 = [](const OrtCustomOp *o, const OrtApi *api, const OrtKernelInfo *info, void **kernel) -> OrtStatusPtr {
    try {
      *kernel = static_cast<const Definition *>(o)->make(Attributes(api, info)).release();
      return nullptr;
    } catch (const std::exception &e) {
      return failure(e);
    }
  };
  KernelComputeV2 = [](void *kernel, OrtKernelContext *context) -> OrtStatusPtr {
    try {
      Call call(g_api, context);
      static_cast<Kernel *>(kernel)->run(call);
      return nullptr;
    } catch (const std::exception &e) {
      return failure(e);
    }
  };
  KernelDestroy = [](void *kernel) { delete static_cast<Kernel *>(kernel); };
  definitions().push_back(this);
}

std::vector<Definition *> &definitions() {
  static std::vector<Definition *> all;
  return all;
}

}  // namespace ortrain

// The version of the library's contract, for those who load it.
extern "C" __attribute__((visibility("default"))) int OrtrainKernelsVersion() { return 1; }

// The entry that a session's options call.
extern "C" __attribute__((visibility("default"))) OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base) {
  const OrtApi *api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) return nullptr;
  ortrain::g_api = api;
  // A domain belongs to one session's options, which keep a reference to it.
  OrtCustomOpDomain *domain = nullptr;
  if (OrtStatus *status = api->CreateCustomOpDomain(ortrain::kDomain, &domain)) return status;
  for (ortrain::Definition *d : ortrain::definitions()) {
    if (OrtStatus *status = api->CustomOpDomain_Add(domain, d)) return status;
  }
  return api->AddCustomOpDomain(options, domain);
}
