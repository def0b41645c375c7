// Stand-ins for what makes handles in cuBLAS, cuRAND and cuDNN.
#include <stddef.h>
#include <stdlib.h>

static char handle[1 << 16];
#define MAKES(f) int f(void **h) { *h = handle; return 0; }
MAKES(cublasCreate_v2) MAKES(cublasLtCreate) MAKES(curandCreateGenerator) MAKES(cudnnCreate)
#define ALLOCATES(f) int f(void **h) { *h = calloc(1, 4096); return 0; }
ALLOCATES(cudnnCreateTensorDescriptor) ALLOCATES(cudnnCreateFilterDescriptor)
ALLOCATES(cudnnCreateConvolutionDescriptor) ALLOCATES(cudnnCreatePoolingDescriptor)
ALLOCATES(cudnnCreateActivationDescriptor) ALLOCATES(cudnnCreateDropoutDescriptor)
ALLOCATES(cudnnCreateRNNDescriptor) ALLOCATES(cudnnCreateReduceTensorDescriptor)
ALLOCATES(cudnnCreateLRNDescriptor) ALLOCATES(cudnnCreateOpTensorDescriptor)
int cudnnBackendCreateDescriptor(int t, void **h) { *h = calloc(1, 4096); return 0; }
int cublasGetMathMode(void *h, int *m) { *m = 0; return 0; }
size_t cudnnGetVersion(void) { return 91200; }
size_t cudnnGetCudartVersion(void) { return 13000; }
const char *cudnnGetErrorString(int s) { return "error of the stand-in"; }
