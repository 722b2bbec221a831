#include "convert.h"

#include <ATen/core/jit_type.h>

#include <cmath>
#include <string>
#include <vector>

#include "errors.h"
#include "tensor.h"

namespace torchjs {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

struct Place {
  const std::string& argument;
  std::string type;
};

[[noreturn]] void refuse(const Place& place, const char* expected, const Napi::Value& received) {
  throw ArgumentError(place.argument, "argument '" + place.argument + "' (" + place.type + "): expected " + expected +
                                          ", received " + describe(received));
}

bool isNothing(const Napi::Value& value) { return value.IsNull() || value.IsUndefined(); }

int64_t toInt(const Napi::Value& value, const Place& place) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t result = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) refuse(place, "an integer of 64 bits", value);
    return result;
  }
  if (!value.IsNumber()) refuse(place, "an integer", value);
  const double number = value.As<Napi::Number>().DoubleValue();
  if (number != std::trunc(number) || std::fabs(number) > kMaxSafeInteger) refuse(place, "an integer", value);
  return static_cast<int64_t>(number);
}

double toDouble(const Napi::Value& value, const Place& place) {
  if (!value.IsNumber()) refuse(place, "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

bool toBool(const Napi::Value& value, const Place& place) {
  if (!value.IsBoolean()) refuse(place, "a boolean", value);
  return value.As<Napi::Boolean>().Value();
}

// A whole number stays an integer, so that an integer tensor plus 1 stays one.
at::Scalar toScalar(const Napi::Value& value, const Place& place) {
  if (value.IsBoolean()) return at::Scalar(value.As<Napi::Boolean>().Value());
  if (value.IsBigInt()) return at::Scalar(toInt(value, place));
  if (!value.IsNumber()) refuse(place, "a number or boolean", value);
  const double number = value.As<Napi::Number>().DoubleValue();
  const bool whole = number == std::trunc(number) && std::fabs(number) <= kMaxSafeInteger;
  if (whole && !(number == 0 && std::signbit(number))) return at::Scalar(static_cast<int64_t>(number));
  return at::Scalar(number);
}

const at::Tensor& toTensor(const Napi::Value& value, const Place& place) {
  const TensorBox* box = boxOf(value);
  if (box == nullptr) refuse(place, "a Tensor", value);
  if (!box->tensor.defined()) refuse(place, "a live Tensor", value);
  return box->tensor;
}

template <typename Item, typename Convert>
c10::List<Item> toList(const Napi::Value& value, const Place& place, c10::List<Item> list, Convert convert) {
  if (!value.IsArray()) refuse(place, "an array", value);
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  list.reserve(length);
  for (uint32_t i = 0; i < length; i++) list.push_back(convert(array.Get(i)));
  return list;
}

c10::List<int64_t> toIntList(const Napi::Value& value, const Place& place, int32_t fixedLength) {
  c10::List<int64_t> list;
  if (value.IsNumber() && fixedLength > 0) {
    const int64_t item = toInt(value, place);
    for (int32_t i = 0; i < fixedLength; i++) list.push_back(item);
    return list;
  }
  return toList(value, place, std::move(list), [&](const Napi::Value& item) { return toInt(item, place); });
}

c10::IValue convertList(const Napi::Value& value, const c10::TypePtr& element, const Place& place, int32_t length) {
  switch (element->kind()) {
    case c10::TypeKind::TensorType:
      return toList(value, place, c10::List<at::Tensor>(),
                    [&](const Napi::Value& item) { return toTensor(item, place); });
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return toIntList(value, place, length);
    case c10::TypeKind::FloatType:
      return toList(value, place, c10::List<double>(), [&](const Napi::Value& item) { return toDouble(item, place); });
    case c10::TypeKind::BoolType:
      return toList(value, place, c10::List<bool>(), [&](const Napi::Value& item) { return toBool(item, place); });
    case c10::TypeKind::OptionalType: {
      if (element->castRaw<c10::OptionalType>()->getElementType()->kind() != c10::TypeKind::TensorType) break;
      return toList(value, place, c10::List<c10::optional<at::Tensor>>(), [&](const Napi::Value& item) {
        return isNothing(item) ? c10::optional<at::Tensor>() : c10::optional<at::Tensor>(toTensor(item, place));
      });
    }
    default:
      break;
  }
  refuse(place, "a list type that this binding knows", value);
}

c10::IValue convert(const Napi::Value& value, const c10::TypePtr& type, const Place& place, int32_t length) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return toTensor(value, place);
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return toInt(value, place);
    case c10::TypeKind::FloatType:
      return toDouble(value, place);
    case c10::TypeKind::BoolType:
      return toBool(value, place);
    case c10::TypeKind::NumberType:
      return toScalar(value, place);
    case c10::TypeKind::StringType:
      if (!value.IsString()) refuse(place, "a string", value);
      return value.As<Napi::String>().Utf8Value();
    case c10::TypeKind::DeviceObjType:
      if (!value.IsString()) refuse(place, "a device such as \"cpu\" or \"cuda:0\"", value);
      return c10::Device(value.As<Napi::String>().Utf8Value());
    case c10::TypeKind::ListType:
      return convertList(value, type->castRaw<c10::ListType>()->getElementType(), place, length);
    case c10::TypeKind::OptionalType:
      if (isNothing(value)) return c10::IValue();
      return convert(value, type->castRaw<c10::OptionalType>()->getElementType(), place, length);
    default:
      refuse(place, "a type that this binding knows", value);
  }
}

// For schema kinds that have a "real" type of their own (ScalarType, Layout, MemoryFormat) the boxed value is an
// integer, which is what type() says in every libtorch since 1.13.
std::string typeName(const c10::Argument& argument) { return argument.type()->repr_str(); }

Napi::Value intToJs(Napi::Env env, int64_t value) {
  if (std::fabs(static_cast<double>(value)) <= kMaxSafeInteger) {
    return Napi::Number::New(env, static_cast<double>(value));
  }
  return Napi::BigInt::New(env, value);
}

template <typename Items>
Napi::Value arrayToJs(Napi::Env env, const Items& items) {
  auto array = Napi::Array::New(env, items.size());
  uint32_t i = 0;
  for (const auto& item : items) array.Set(i++, fromIValue(env, item));
  return array;
}

}  // namespace

c10::IValue toIValue(const Napi::Value& value, const c10::Argument& argument) {
  if (value.IsUndefined() && argument.default_value().has_value()) return *argument.default_value();
  const Place place{argument.name(), typeName(argument)};
  return convert(value, argument.type(), place, argument.N().value_or(0));
}

Napi::Value fromIValue(Napi::Env env, const c10::IValue& value) {
  if (value.isNone()) return env.Null();
  if (value.isTensor()) {
    // An undefined tensor is how many operators say "none" (a gradient that was not asked for).
    return value.toTensor().defined() ? wrapTensor(env, value.toTensor()) : env.Null();
  }
  if (value.isInt()) return intToJs(env, value.toInt());
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isDevice()) return Napi::String::New(env, value.toDevice().str());
  if (value.isTuple()) return arrayToJs(env, value.toTupleRef().elements());
  if (value.isList()) return arrayToJs(env, value.toListRef());
  TORCH_CHECK(false, "a returned value of type ", value.tagKind(), " has no JavaScript form");
}

std::string describe(const Napi::Value& value) {
  if (const TensorBox* box = boxOf(value)) {
    if (!box->tensor.defined()) return "a disposed Tensor";
    std::string text = std::string(c10::toString(box->tensor.scalar_type())) + "[";
    for (int64_t i = 0; i < box->tensor.dim(); i++) {
      text += (i > 0 ? ", " : "") + std::to_string(box->tensor.size(i));
    }
    return text + "]";
  }
  if (value.IsArray()) {
    const auto array = value.As<Napi::Array>();
    std::string text = "[";
    for (uint32_t i = 0; i < array.Length() && i < 8; i++) text += (i > 0 ? ", " : "") + describe(array.Get(i));
    return text + (array.Length() > 8 ? ", …]" : "]");
  }
  if (value.IsString()) return "\"" + value.As<Napi::String>().Utf8Value().substr(0, 60) + "\"";
  if (value.IsFunction()) return "a function";
  if (value.IsObject()) return "an object";
  if (value.IsSymbol()) return "a symbol";
  return value.ToString().Utf8Value();
}

}  // namespace torchjs
