#include "values.h"

#include <c10/core/MemoryFormat.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "describe.h"
#include "dtype.h"
#include "errors.h"
#include "handle.h"

namespace torchjs {
namespace {

constexpr int64_t kMaxSafeInteger = 9007199254740991;

// An array of JavaScript may claim four billion items and hold none.
constexpr uint32_t kMaxItems = 1 << 20;

std::string label(const Place& place) {
  std::string text = "'" + std::string(place.argument);
  if (place.item >= 0) text += "[" + std::to_string(place.item) + "]";
  text += "'";
  if (place.schema == nullptr) return text;
  std::string type = place.schema->real_type()->str();
  // Symbolic integers are libtorch's own affair.
  if (type.rfind("SymInt", 0) == 0) type.replace(0, 6, "int");
  return text + " (" + type + ")";
}

// Whether a double stands for one integer and no other.
bool isExactInteger(double number) {
  return number == std::trunc(number) && std::fabs(number) <= static_cast<double>(kMaxSafeInteger);
}

}  // namespace

void refuse(const Place& place, const std::string& expected, const Napi::Value& received) {
  throw ArgumentError(place.argument,
                      "expected " + expected + " for " + label(place) + ", received " + describe(received));
}

int64_t toInteger(const Napi::Value& value, const Place& place) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t result = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) refuse(place, "an integer of 64 bits", value);
    return result;
  }
  if (!value.IsNumber()) refuse(place, "an integer", value);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!isExactInteger(number)) refuse(place, "an integer (beyond 2^53 - 1 a BigInt)", value);
  return static_cast<int64_t>(number);
}

int64_t toInteger(const Napi::Value& value, const Place& place, int64_t least, int64_t most) {
  const int64_t number = toInteger(value, place);
  if (number < least || number > most) {
    refuse(place, "an integer from " + std::to_string(least) + " to " + std::to_string(most), value);
  }
  return number;
}

double toDouble(const Napi::Value& value, const Place& place) {
  if (!value.IsNumber()) refuse(place, "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

bool toBoolean(const Napi::Value& value, const Place& place) {
  if (!value.IsBoolean()) refuse(place, "a boolean", value);
  return value.As<Napi::Boolean>().Value();
}

std::string toText(const Napi::Value& value, const Place& place) {
  if (!value.IsString()) refuse(place, "a string", value);
  return value.As<Napi::String>().Utf8Value();
}

Napi::Array toArray(const Napi::Value& value, const Place& place) {
  if (!value.IsArray()) refuse(place, "an array", value);
  const auto array = value.As<Napi::Array>();
  if (array.Length() > kMaxItems) refuse(place, "an array of at most " + std::to_string(kMaxItems) + " items", value);
  return array;
}

at::Scalar toScalar(const Napi::Value& value, const Place& place) {
  if (value.IsBoolean()) return at::Scalar(value.As<Napi::Boolean>().Value());
  if (value.IsBigInt()) return at::Scalar(toInteger(value, place));
  if (!value.IsNumber()) refuse(place, "a number or a boolean", value);
  const double number = value.As<Napi::Number>().DoubleValue();
  const bool negativeZero = number == 0 && std::signbit(number);
  if (isExactInteger(number) && !negativeZero) return at::Scalar(static_cast<int64_t>(number));
  return at::Scalar(number);
}

at::Tensor toTensor(const Napi::Value& value, const Place& place) {
  const at::Tensor* tensor = liveTensor(value);
  if (tensor == nullptr) refuse(place, isHandle(value) ? "a live Tensor" : "a Tensor", value);
  return *tensor;
}

at::ScalarType toDtype(const Napi::Value& value, const Place& place) {
  at::ScalarType dtype;
  if (value.IsString() && dtypeOfName(value.As<Napi::String>().Utf8Value(), &dtype)) return dtype;
  if (!value.IsNumber()) refuse(place, "the name of an element type such as \"float32\"", value);
  return static_cast<at::ScalarType>(toInteger(value, place, 0, static_cast<int64_t>(at::ScalarType::NumOptions) - 1));
}

at::MemoryFormat toMemoryFormat(const Napi::Value& value, const Place& place) {
  if (value.IsString()) {
    const std::string name = value.As<Napi::String>().Utf8Value();
    if (name == "contiguous") return at::MemoryFormat::Contiguous;
    if (name == "preserve") return at::MemoryFormat::Preserve;
    if (name == "channelsLast") return at::MemoryFormat::ChannelsLast;
  }
  if (!value.IsNumber()) refuse(place, R"("contiguous", "preserve" or "channelsLast")", value);
  return static_cast<at::MemoryFormat>(
      toInteger(value, place, 0, static_cast<int64_t>(at::MemoryFormat::NumOptions) - 1));
}

c10::Device toDevice(const Napi::Value& value, const Place& place) {
  constexpr const char* kExpected = "a device such as \"cpu\" or \"cuda:0\"";
  if (!value.IsString()) refuse(place, kExpected, value);
  try {
    return c10::Device(value.As<Napi::String>().Utf8Value());
  } catch (const std::exception&) {
    refuse(place, kExpected, value);
  }
}

std::vector<int64_t> toShape(const Napi::Value& value, const Place& place) {
  const Napi::Array array = toArray(value, place);
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Place item{place.argument, place.schema, i};
    shape.push_back(toInteger(array.Get(i), item, 0, kMaxSafeInteger));
  }
  return shape;
}

Napi::Value fromInteger(Napi::Env env, int64_t value) {
  if (std::llabs(value) <= kMaxSafeInteger && value != std::numeric_limits<int64_t>::min()) {
    return Napi::Number::New(env, static_cast<double>(value));
  }
  return Napi::BigInt::New(env, value);
}

}  // namespace torchjs
