// Launching the kernels of device.cu through CUDA's runtime library.
//
// The library is the one that ONNX Runtime has loaded, of CUDA 12 or 13, so
// nothing of CUDA is linked: a few of its functions, the same in both, are looked
// up, those among them by which compiled programs of CUDA register their kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ortrain {

using Stream = void *;

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// DeviceKernel is a kernel of device.cu by its name.
class DeviceKernel {
 public:
  explicit DeviceKernel(const char *name);
  DeviceKernel(const DeviceKernel &) = delete;
  // operator() starts the kernel; the arguments must be of the very types that
  // it declares.
  template <class... Arguments>
  void operator()(Stream stream, Dim3 grid, Dim3 block, Arguments... arguments) const {
    void *addresses[] = {&arguments...};
    launch(stream, grid, block, addresses);
  }
  const char *name() const { return name_; }

 private:
  void launch(Stream stream, Dim3 grid, Dim3 block, void **arguments) const;
  const char *name_;
};

// By type and width of packs: see numbers.cuh.
struct DeviceKernels {
  DeviceKernel float4, float1, half8, half1;
  // of returns the one for maps of so many channels.
  const DeviceKernel &of(bool half, int64_t channels) const {
    if (half) return channels % 8 == 0 ? half8 : half1;
    return channels % 4 == 0 ? float4 : float1;
  }
};
// pack is how many channels a thread of that kernel takes.
inline int64_t pack(bool half, int64_t channels) {
  if (half) return channels % 8 == 0 ? 8 : 1;
  return channels % 4 == 0 ? 4 : 1;
}
#define DEVICE_KERNELS(NAME) \
  DeviceKernels NAME { DeviceKernel(#NAME "_float4"), DeviceKernel(#NAME "_float1"), DeviceKernel(#NAME "_half8"), DeviceKernel(#NAME "_half1") }

// DeviceMemory is memory on the current device, from CUDA itself; size 0 if there
// is not enough.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;
  void *data() const { return data_; }
  size_t size() const { return size_; }
  // fill copies from the host and waits for it.
  void fill(const void *from, size_t bytes) const;

 private:
  void *data_ = nullptr;
  size_t size_ = 0;
};

// free_memory is how much of the current device's is left.
size_t free_memory();

// current_device is the number of the thread's device.
int current_device();

}  // namespace ortrain
