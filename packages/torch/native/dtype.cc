#include "dtype.h"

namespace torchjs {
namespace {

struct Named {
  const char* name;
  at::ScalarType dtype;
};

constexpr Named kNames[] = {
    {"uint8", at::kByte},
    {"int8", at::kChar},
    {"int16", at::kShort},
    {"int32", at::kInt},
    {"int64", at::kLong},
    {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"float32", at::kFloat},
    {"float64", at::kDouble},
    {"complex64", at::kComplexFloat},
    {"complex128", at::kComplexDouble},
    {"bool", at::kBool},
};

}  // namespace

std::string dtypeName(at::ScalarType dtype) {
  for (const Named& named : kNames) {
    if (named.dtype == dtype) return named.name;
  }
  return c10::toString(dtype);
}

bool dtypeOfName(const std::string& name, at::ScalarType* dtype) {
  for (const Named& named : kNames) {
    if (name != named.name) continue;
    *dtype = named.dtype;
    return true;
  }
  return false;
}

}  // namespace torchjs
