// The operator of an optimizer's update: see update.cuh.

#include <cstring>
#include <memory>
#include <mutex>

#include "op.h"

namespace ortrain {
namespace {

// What follows is that of update.cuh.
constexpr int kMostInputs = 16, kMostOutputs = 8, kMostInstructions = 48, kMostRegisters = 80;

struct Instruction {
  unsigned char code, a, b, unused;
};

struct Program {
  const float *in[kMostInputs];
  float *out[kMostOutputs];
  const long long *ends;
  const float *values;
  int run_counts[kMostInputs];
  int vectors, scalars, constants, instructions, results;
  Instruction instruction[kMostInstructions];
  unsigned char result[kMostOutputs];
};

DeviceKernel elementwise("elementwise");

// Elementwise: vectors of one length, then scalars → vectors of that length, by a
// program as the CPU's operator of this name takes it (../../src/elementwise.cc).
class Elementwise {
 public:
  Elementwise(const Attributes &a, bool) : size_(a.integer("size")) {
    const size_t inputs = a.inputs();
    p_.vectors = int(a.integer("vectors"));
    p_.scalars = int(inputs) - p_.vectors;
    auto program = a.ints("program", 0), results = a.ints("results", 0), runs = a.ints("runs", 0);
    // The number of constants, then of each the number of its runs, then their
    // lengths and values, these by the float's bits.
    for (size_t i = 1; i < runs.size();) {
      const size_t n = size_t(runs[i++]);
      if (n > (runs.size() - i) / 2 || p_.constants == kMostInputs) throw std::runtime_error("the runs are cut short, or too many");
      p_.run_counts[p_.constants++] = int(n);
      long long end = 0;
      for (size_t k = 0; k < n; k++, i += 2) {
        const uint32_t bits = uint32_t(runs[i + 1]);
        float value;
        std::memcpy(&value, &bits, sizeof value);
        ends_.push_back(end += runs[i]);
        values_.push_back(value);
      }
      if (end != size_) throw std::runtime_error("the runs do not fill the vector");
    }
    const size_t made = inputs + size_t(p_.constants), n = program.size() / 4;
    if (p_.vectors < 1 || p_.scalars < 0 || inputs > kMostInputs || results.size() > kMostOutputs || n > kMostInstructions || made + n > kMostRegisters)
      throw std::runtime_error("the program is larger than the kernel takes");
    for (size_t k = 0; k < n; k++) {
      const int64_t *v = &program[4 * k];
      if (v[1] < 0 || v[2] < 0 || v[1] >= int64_t(made + k) || v[2] >= int64_t(made + k) || v[3] != int64_t(made + k))
        throw std::runtime_error("an instruction names a wrong register");
      p_.instruction[p_.instructions++] = {static_cast<unsigned char>(v[0]), static_cast<unsigned char>(v[1]), static_cast<unsigned char>(v[2]), 0};
    }
    for (int64_t r : results) {
      if (r < int64_t(made) || r >= int64_t(made + n)) throw std::runtime_error("a result names a wrong register");
      p_.result[p_.results++] = static_cast<unsigned char>(r);
    }
  }

  void run(Call &call) {
    Program p = p_;
    constants(p);
    for (int k = 0; k < p.vectors + p.scalars; k++) p.in[k] = call.floats(size_t(k));
    for (int k = 0; k < p.results; k++) p.out[k] = static_cast<float *>(call.output(size_t(k), {size_}));
    constexpr int64_t kMost = 132 * 16;
    elementwise(call.stream(), {unsigned(std::min((size_ + 255) / 256, kMost)), 1, 1}, {256, 1, 1}, p, (long long)size_);
  }

 private:
  // constants brings the runs to the device, once.
  void constants(Program &p) {
    if (ends_.empty()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    if (!memory_) {
      const size_t ends = ends_.size() * sizeof(long long), values = values_.size() * sizeof(float);
      std::vector<char> bytes(ends + values);
      std::memcpy(bytes.data(), ends_.data(), ends);
      std::memcpy(bytes.data() + ends, values_.data(), values);
      auto memory = std::make_unique<DeviceMemory>(bytes.size());
      if (memory->size() == 0) throw std::runtime_error("out of device memory");
      memory->fill(bytes.data(), bytes.size());
      memory_ = std::move(memory);
    }
    p.ends = static_cast<const long long *>(memory_->data());
    p.values = reinterpret_cast<const float *>(p.ends + ends_.size());
  }

  int64_t size_;
  Program p_{};
  std::vector<long long> ends_;
  std::vector<float> values_;
  std::mutex mutex_;
  std::unique_ptr<DeviceMemory> memory_;
};

// Elementwise takes float32 alone.
struct ElementwiseDefinition : Definition {
  ElementwiseDefinition()
      : Definition("Elementwise", "CUDAExecutionProvider", [](const Attributes &a) -> void * { return new Elementwise(a, false); },
                   [](void *kernel, const OrtApi *api, OrtKernelContext *context) {
                     Call call(api, context);
                     static_cast<Elementwise *>(kernel)->run(call);
                   },
                   [](void *kernel) { delete static_cast<Elementwise *>(kernel); },
                   std::vector<Type>(kMostInputs, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT), 1,
                   std::vector<Type>(kMostOutputs, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT), 1) {}
} elementwise_operator;

}  // namespace
}  // namespace ortrain
