// A node's attributes, read when its kernel is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "onnxruntime_c_api.h"

namespace ortrain {

class Attributes {
 public:
  Attributes(const OrtApi *api, const OrtKernelInfo *info) : api_(api), info_(info) {}
  int64_t integer(const char *name) const;
  float number(const char *name) const;
  // ints returns a list of exactly n integers, or of any length for n = 0.
  std::vector<int64_t> ints(const char *name, size_t n) const;
  size_t inputs() const;
  size_t outputs() const;

 private:
  void check(OrtStatus *status, const char *name) const;
  const OrtApi *api_;
  const OrtKernelInfo *info_;
};

}  // namespace ortrain
