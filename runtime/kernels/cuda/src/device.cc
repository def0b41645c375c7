#include "device.h"

#include <dlfcn.h>

#include <mutex>
#include <stdexcept>
#include <string>

// The fat binary that compile.py or nvcc made of device.cu.
asm(".section .nv_fatbin,\"a\"\n.balign 16\nortrain_fatbin:\n.incbin \"" FATBIN "\"\n.previous\n");
extern "C" const char ortrain_fatbin[];

namespace ortrain {
namespace {

// Wrapper is how a fat binary is handed over.
struct Wrapper {
  int magic = 0x466243b1, version = 1;
  const void *data = ortrain_fatbin;
  void *unused = nullptr;
};

std::vector<DeviceKernel *> &all() {
  static std::vector<DeviceKernel *> kernels;
  return kernels;
}

// Runtime are the functions of CUDA's runtime library.
struct Runtime {
  int (*malloc)(void **, size_t);
  int (*free)(void *);
  int (*memory)(size_t *, size_t *);
  int (*copy)(void *, const void *, size_t, int);
  int (*device)(int *);
  int (*launch)(const void *, Dim3, Dim3, void **, size_t, Stream);
  int (*last_error)();
  const char *(*text)(int);

  Runtime() {
    // Loaded already before any other.
    for (int flags : {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW})
      for (const char *name : {"libcudart.so.13", "libcudart.so.12"})
        if (library_ == nullptr) library_ = dlopen(name, flags);
    if (library_ == nullptr) throw std::runtime_error("CUDA's runtime library (libcudart.so.13 or .12) is not loaded and not to be found");
    find(malloc, "cudaMalloc");
    find(free, "cudaFree");
    find(memory, "cudaMemGetInfo");
    find(copy, "cudaMemcpy");
    find(device, "cudaGetDevice");
    find(launch, "cudaLaunchKernel");
    find(last_error, "cudaGetLastError");
    find(text, "cudaGetErrorString");
    void **(*add_binary)(void *);
    void (*add_kernel)(void **, const char *, char *, const char *, int, void *, void *, void *, void *, int *);
    void (*end)(void **);
    find(add_binary, "__cudaRegisterFatBinary");
    find(add_kernel, "__cudaRegisterFunction");
    find(end, "__cudaRegisterFatBinaryEnd");
    static Wrapper wrapper;
    void **binary = add_binary(&wrapper);
    for (DeviceKernel *k : all()) {
      char *name = const_cast<char *>(k->name());
      add_kernel(binary, reinterpret_cast<const char *>(k), name, name, -1, nullptr, nullptr, nullptr, nullptr, nullptr);
    }
    end(binary);
  }
  void check(int code, const char *what) const {
    if (code == 0) return;
    last_error();  // it would otherwise be taken for somebody else's
    throw std::runtime_error(std::string("CUDA: ") + what + ": " + text(code));
  }

 private:
  template <class F>
  void find(F &f, const char *name) {
    f = reinterpret_cast<F>(dlsym(library_, name));
    if (f == nullptr) throw std::runtime_error(std::string("CUDA's runtime library has no function ") + name);
  }
  void *library_ = nullptr;
};

const Runtime &runtime() {
  static Runtime r;
  return r;
}

}  // namespace

DeviceKernel::DeviceKernel(const char *name) : name_(name) { all().push_back(this); }

void DeviceKernel::launch(Stream stream, Dim3 grid, Dim3 block, void **arguments) const {
  const Runtime &r = runtime();
  r.check(r.launch(this, grid, block, arguments, 0, stream), name_);
}

DeviceMemory::DeviceMemory(size_t bytes) {
  if (bytes == 0) return;
  const Runtime &r = runtime();
  if (r.malloc(&data_, bytes) != 0) {
    r.last_error();
    data_ = nullptr;
  } else {
    size_ = bytes;
  }
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) runtime().free(data_);
}

void DeviceMemory::fill(const void *from, size_t bytes) const {
  const Runtime &r = runtime();
  constexpr int kToDevice = 1;
  r.check(r.copy(data_, from, bytes, kToDevice), "copy to the device");
}

size_t free_memory() {
  size_t left = 0, whole = 0;
  const Runtime &r = runtime();
  r.check(r.memory(&left, &whole), "free memory");
  return left;
}

int current_device() {
  int n = 0;
  const Runtime &r = runtime();
  r.check(r.device(&n), "current device");
  return n;
}

}  // namespace ortrain
