#include "convert.h"

#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>
#include <c10/core/Layout.h>
#include <c10/util/Exception.h>

#include "handle.h"
#include "values.h"

namespace torchjs {
namespace {

c10::IValue convert(const Napi::Value& value, const c10::TypePtr& type, const Place& place);

bool isInteger(const c10::TypePtr& type) {
  return type->kind() == c10::TypeKind::IntType || type->kind() == c10::TypeKind::SymIntType;
}

c10::IValue convertList(const Napi::Value& value, const c10::TypePtr& element, const Place& place) {
  // A list of symbolic integers is made of plain ones, as libtorch's own callers do.
  c10::impl::GenericList list(isInteger(element) ? c10::TypePtr(c10::IntType::get()) : element);
  // A list of fixed length ("int[2]") takes one integer for all its places.
  const int32_t fixedLength = place.schema->N().value_or(0);
  if (fixedLength > 0 && isInteger(element) && (value.IsNumber() || value.IsBigInt())) {
    const int64_t item = toInteger(value, place);
    for (int32_t i = 0; i < fixedLength; i++) list.push_back(item);
    return list;
  }
  const Napi::Array array = toArray(value, place);
  for (uint32_t i = 0; i < array.Length(); i++) {
    list.push_back(convert(array.Get(i), element, Place{place.argument, place.schema, i}));
  }
  return list;
}

c10::IValue convert(const Napi::Value& value, const c10::TypePtr& type, const Place& place) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return toTensor(value, place);
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return toInteger(value, place);
    case c10::TypeKind::FloatType:
      return toDouble(value, place);
    case c10::TypeKind::BoolType:
      return toBoolean(value, place);
    case c10::TypeKind::NumberType:
      return toScalar(value, place);
    case c10::TypeKind::StringType:
      return toText(value, place);
    case c10::TypeKind::DeviceObjType:
      return toDevice(value, place);
    // Boxed, these three are integers; a number that stands for none would be undefined behaviour further down.
    case c10::TypeKind::ScalarTypeType:
      return static_cast<int64_t>(toDtype(value, place));
    case c10::TypeKind::MemoryFormatType:
      return static_cast<int64_t>(toMemoryFormat(value, place));
    case c10::TypeKind::LayoutType:
      return toInteger(value, place, 0, static_cast<int64_t>(at::Layout::NumOptions) - 1);
    case c10::TypeKind::ListType:
      return convertList(value, type->castRaw<c10::ListType>()->getElementType(), place);
    case c10::TypeKind::OptionalType:
      if (value.IsNull() || value.IsUndefined()) return c10::IValue();
      return convert(value, type->castRaw<c10::OptionalType>()->getElementType(), place);
    default:
      refuse(place, "nothing (a type without a JavaScript form)", value);
  }
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
  return convert(value, argument.real_type(), Place{argument.name().c_str(), &argument});
}

Napi::Value fromIValue(Napi::Env env, const c10::IValue& value) {
  if (value.isNone()) return env.Null();
  if (value.isTensor()) return wrapTensorOrNull(env, value.toTensor());
  if (value.isInt()) return fromInteger(env, value.toInt());
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isDevice()) return Napi::String::New(env, value.toDevice().str());
  if (value.isTuple()) return arrayToJs(env, value.toTupleRef().elements());
  if (value.isList()) return arrayToJs(env, value.toListRef());
  TORCH_CHECK(false, "a returned value of type ", value.tagKind(), " has no JavaScript form");
}

}  // namespace torchjs
