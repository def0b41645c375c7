// An operator as ONNX Runtime sees it: its table of functions, made from a
// kernel of this library.
#pragma once

#include <memory>
#include <vector>

#include "attributes.h"

namespace ortrain {

// The domain of the operators; graphs/lower and the libraries must agree on it.
constexpr const char *kDomain = "ai.ortrain";

// Definition describes an operator. Several of one name differ by their types.
struct Definition : OrtCustomOp {
  using Type = ONNXTensorElementDataType;
  // make builds a node's kernel, run executes it and release frees it.
  using Make = void *(*)(const Attributes &);
  using Run = void (*)(void *kernel, const OrtApi *, OrtKernelContext *);
  using Release = void (*)(void *kernel);
  // required of the inputs and outputs must be given. provider is nullptr for
  // the CPU.
  Definition(const char *name, const char *provider, Make make, Run run, Release release, std::vector<Type> inputs, size_t required_inputs,
             std::vector<Type> outputs, size_t required_outputs);
  const char *name, *provider;
  Make make;
  Run run;
  Release release;
  std::vector<Type> inputs, outputs;
  size_t required_inputs, required_outputs;
};

// definitions lists every operator of the library.
std::vector<Definition *> &definitions();

}  // namespace ortrain
