#include "attributes.h"

#include <stdexcept>
#include <string>

namespace ortrain {

void Attributes::check(OrtStatus *status, const char *name) const {
  if (status == nullptr) return;
  std::string message = std::string("attribute ") + name + ": " + api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw std::runtime_error(message);
}

int64_t Attributes::integer(const char *name) const {
  int64_t v = 0;
  check(api_->KernelInfoGetAttribute_int64(info_, name, &v), name);
  return v;
}

float Attributes::number(const char *name) const {
  float v = 0;
  check(api_->KernelInfoGetAttribute_float(info_, name, &v), name);
  return v;
}

std::vector<int64_t> Attributes::ints(const char *name, size_t n) const {
  size_t have = 0;
  check(api_->KernelInfoGetAttributeArray_int64(info_, name, nullptr, &have), name);
  std::vector<int64_t> v(have);
  check(api_->KernelInfoGetAttributeArray_int64(info_, name, v.data(), &have), name);
  if (n != 0 && have != n) throw std::runtime_error(std::string("attribute ") + name + " has the wrong length");
  return v;
}

size_t Attributes::inputs() const {
  size_t n = 0;
  check(api_->KernelInfo_GetInputCount(info_, &n), "inputs");
  return n;
}

size_t Attributes::outputs() const {
  size_t n = 0;
  check(api_->KernelInfo_GetOutputCount(info_, &n), "outputs");
  return n;
}

}  // namespace ortrain
