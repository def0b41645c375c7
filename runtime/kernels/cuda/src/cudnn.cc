#include "cudnn.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace ortrain {

Cudnn::Cudnn() {
  void *library = nullptr;
  for (int flags : {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW})
    for (const char *name : {"libcudnn.so.9", "libcudnn.so.8"})
      if (library == nullptr) library = dlopen(name, flags);
  if (library == nullptr) throw std::runtime_error("cuDNN (libcudnn.so.9 or .8) is not loaded and not to be found");
  auto find = [&](auto &f, const char *name) {
    f = reinterpret_cast<std::remove_reference_t<decltype(f)>>(dlsym(library, name));
    if (f == nullptr) throw std::runtime_error(std::string("cuDNN has no function ") + name);
  };
  find(error, "cudnnGetErrorString");
  find(create_tensor, "cudnnCreateTensorDescriptor");
  find(destroy_tensor, "cudnnDestroyTensorDescriptor");
  find(set_tensor, "cudnnSetTensor4dDescriptor");
  find(create_filter, "cudnnCreateFilterDescriptor");
  find(destroy_filter, "cudnnDestroyFilterDescriptor");
  find(set_filter, "cudnnSetFilter4dDescriptor");
  find(create_conv, "cudnnCreateConvolutionDescriptor");
  find(destroy_conv, "cudnnDestroyConvolutionDescriptor");
  find(set_conv, "cudnnSetConvolution2dDescriptor");
  find(set_groups, "cudnnSetConvolutionGroupCount");
  find(set_math, "cudnnSetConvolutionMathType");
  find(forward.find, "cudnnFindConvolutionForwardAlgorithmEx");
  find(forward.suggest, "cudnnGetConvolutionForwardAlgorithm_v7");
  find(forward.run, "cudnnConvolutionForward");
  find(grad_input.find, "cudnnFindConvolutionBackwardDataAlgorithmEx");
  find(grad_input.suggest, "cudnnGetConvolutionBackwardDataAlgorithm_v7");
  find(grad_input.run, "cudnnConvolutionBackwardData");
  find(grad_weight.find, "cudnnFindConvolutionBackwardFilterAlgorithmEx");
  find(grad_weight.suggest, "cudnnGetConvolutionBackwardFilterAlgorithm_v7");
  find(grad_weight.run, "cudnnConvolutionBackwardFilter");
}

void Cudnn::check(int status, const char *what) const {
  if (status != 0) throw std::runtime_error(std::string("cuDNN: ") + what + ": " + error(status));
}

const Cudnn &cudnn() {
  static Cudnn c;
  return c;
}

}  // namespace ortrain
