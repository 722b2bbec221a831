// The strict reading of single JavaScript values: each throws ArgumentError for anything but what it asks for.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <c10/core/Device.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace torchjs {

// Which argument a value is, for the error message.
struct Place {
  const char* argument;
  // The operator's own entry, if it is an operator's.
  const c10::Argument* schema = nullptr;
  // The place in a list, or -1.
  int64_t item = -1;
};

// Throws ArgumentError: "expected an integer for 'dims[1]' (int[]), received "x"".
[[noreturn]] void refuse(const Place& place, const std::string& expected, const Napi::Value& received);

int64_t toInteger(const Napi::Value& value, const Place& place);
int64_t toInteger(const Napi::Value& value, const Place& place, int64_t least, int64_t most);
double toDouble(const Napi::Value& value, const Place& place);
bool toBoolean(const Napi::Value& value, const Place& place);
std::string toText(const Napi::Value& value, const Place& place);
Napi::Array toArray(const Napi::Value& value, const Place& place);

// A whole number stays an integer, so that an integer tensor plus 1 stays one.
at::Scalar toScalar(const Napi::Value& value, const Place& place);

// A live tensor's.
at::Tensor toTensor(const Napi::Value& value, const Place& place);

// The tensor that argument `i` is.
inline at::Tensor tensorAt(const Napi::CallbackInfo& info, size_t i) { return toTensor(info[i], {"tensor"}); }

// By name ("float32") or by c10's number.
at::ScalarType toDtype(const Napi::Value& value, const Place& place);
at::MemoryFormat toMemoryFormat(const Napi::Value& value, const Place& place);
c10::Device toDevice(const Napi::Value& value, const Place& place);

// An array of extents, none negative.
std::vector<int64_t> toShape(const Napi::Value& value, const Place& place);

// A number where every integer of its size is exact, else a BigInt.
Napi::Value fromInteger(Napi::Env env, int64_t value);

}  // namespace torchjs
