#include "definition.h"

#include <exception>

namespace ortrain {

namespace {

const OrtApi *g_api;

const Definition *of(const OrtCustomOp *o) { return static_cast<const Definition *>(o); }

OrtStatus *failure(const std::exception &e) { return g_api->CreateStatus(ORT_RUNTIME_EXCEPTION, e.what()); }

// Made is a kernel with what executes it.
struct Made {
  const Definition *definition;
  void *kernel;
};

}  // namespace

Definition::Definition(const char *name, const char *provider, Make make, Run run, Release release, std::vector<Type> inputs,
                       size_t required_inputs, std::vector<Type> outputs, size_t required_outputs)
    : OrtCustomOp{}, name(name), provider(provider), make(make), run(run), release(release), inputs(inputs), outputs(outputs),
      required_inputs(required_inputs), required_outputs(required_outputs) {
  version = ORT_API_VERSION;
  GetName = [](const OrtCustomOp *o) { return of(o)->name; };
  GetExecutionProviderType = [](const OrtCustomOp *o) { return of(o)->provider; };
  GetInputType = [](const OrtCustomOp *o, size_t i) { return of(o)->inputs[i]; };
  GetOutputType = [](const OrtCustomOp *o, size_t i) { return of(o)->outputs[i]; };
  GetInputTypeCount = [](const OrtCustomOp *o) { return of(o)->inputs.size(); };
  GetOutputTypeCount = [](const OrtCustomOp *o) { return of(o)->outputs.size(); };
  GetInputCharacteristic = [](const OrtCustomOp *o, size_t i) {
    return i < of(o)->required_inputs ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
  };
  GetOutputCharacteristic = [](const OrtCustomOp *o, size_t i) {
    return i < of(o)->required_outputs ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
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
      auto made = std::make_unique<Made>(Made{of(o), of(o)->make(Attributes(api, info))});
      *kernel = made.release();
      return nullptr;
    } catch (const std::exception &e) {
      return failure(e);
    }
  };
  KernelComputeV2 = [](void *kernel, OrtKernelContext *context) -> OrtStatusPtr {
    auto *made = static_cast<Made *>(kernel);
    try {
      made->definition->run(made->kernel, g_api, context);
      return nullptr;
    } catch (const std::exception &e) {
      return failure(e);
    }
  };
  KernelDestroy = [](void *kernel) {
    std::unique_ptr<Made> made(static_cast<Made *>(kernel));
    made->definition->release(made->kernel);
  };
  definitions().push_back(this);
}

std::vector<Definition *> &definitions() {
  static std::vector<Definition *> all;
  return all;
}

}  // namespace ortrain

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
