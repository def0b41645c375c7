// Stand-in for the TensorRT provider, which ONNX Runtime for Python insists on
// when it lists its kernels: whatever it is asked to make, it hands the CUDA
// provider's.
#include <dlfcn.h>
#include <stdlib.h>

typedef void (*make)(void *result, void *self, const void *options);

static void factory(void *result, void *self, const void *options) {
  void *library = dlopen(getenv("CUDA_PROVIDER"), RTLD_NOW);
  void *(*get)(void) = (void *(*)(void))dlsym(library, "GetProvider");
  void *provider = get();
  static char zero[4096]; // every option at its default
  ((make)(*(void ***)provider)[0])(result, provider, zero);
}
static void nothing(void) {}
static void *virtual[16] = {factory, factory, nothing, nothing, nothing, nothing, nothing, nothing,
                            nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing};
static void *object[1] = {virtual};
void *GetProvider(void) { return object; }
