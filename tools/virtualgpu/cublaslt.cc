// Stand-in for cuBLASLt: kernels make a handle for it when they are built; our
// graphs reach none that computes with it.
#include <cstdio>

#define CUBLASLT_API extern "C" __attribute__((visibility("default")))

CUBLASLT_API int cublasLtCreate(void **h) {
  *h = new char;
  return 0;
}
CUBLASLT_API int cublasLtDestroy(void *h) {
  delete (char *)h;
  return 0;
}

#define UNSUPPORTED(name)                                                                                              \
  CUBLASLT_API int name() {                                                                                            \
    fprintf(stderr, "virtual cuBLASLt: %s is not one of its functions\n", #name);                                      \
    return 15; /* CUBLAS_STATUS_NOT_SUPPORTED */                                                                       \
  }
UNSUPPORTED(cublasLtMatmul)
UNSUPPORTED(cublasLtMatmulAlgoConfigSetAttribute)
UNSUPPORTED(cublasLtMatmulAlgoGetHeuristic)
UNSUPPORTED(cublasLtMatmulAlgoInit)
UNSUPPORTED(cublasLtMatmulDescCreate)
UNSUPPORTED(cublasLtMatmulDescDestroy)
UNSUPPORTED(cublasLtMatmulDescSetAttribute)
UNSUPPORTED(cublasLtMatmulPreferenceCreate)
UNSUPPORTED(cublasLtMatmulPreferenceDestroy)
UNSUPPORTED(cublasLtMatmulPreferenceSetAttribute)
UNSUPPORTED(cublasLtMatrixLayoutCreate)
UNSUPPORTED(cublasLtMatrixLayoutDestroy)
UNSUPPORTED(cublasLtMatrixLayoutSetAttribute)
UNSUPPORTED(cublasLtMatrixTransform)
UNSUPPORTED(cublasLtMatrixTransformDescCreate)
UNSUPPORTED(cublasLtMatrixTransformDescDestroy)
