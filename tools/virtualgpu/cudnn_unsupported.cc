// Functions of cuDNN that ONNX Runtime's kernels name and the stand-in does not
// have: each says so and fails.
#include "cudnn_types.h"

using namespace virtualgpu;

#define UNSUPPORTED(name)                                                                                              \
  CUDNN_API int name() { return fail(notSupported, "%s is not one of its functions", #name); }

UNSUPPORTED(cudnnCreateDropoutDescriptor)
UNSUPPORTED(cudnnDestroyDropoutDescriptor)
UNSUPPORTED(cudnnDropoutGetStatesSize)
UNSUPPORTED(cudnnSetDropoutDescriptor)
UNSUPPORTED(cudnnCreateOpTensorDescriptor)
UNSUPPORTED(cudnnCreateRNNDataDescriptor)
UNSUPPORTED(cudnnDestroyRNNDataDescriptor)
UNSUPPORTED(cudnnSetRNNDataDescriptor)
UNSUPPORTED(cudnnCreateRNNDescriptor)
UNSUPPORTED(cudnnDestroyRNNDescriptor)
UNSUPPORTED(cudnnSetRNNDescriptor_v8)
UNSUPPORTED(cudnnGetRNNTempSpaceSizes)
UNSUPPORTED(cudnnGetRNNWeightParams)
UNSUPPORTED(cudnnRNNForward)
