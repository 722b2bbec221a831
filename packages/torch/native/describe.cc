#include "describe.h"

#include <cstddef>
#include <cstdint>

#include "dtype.h"
#include "handle.h"

namespace torchjs {
namespace {

constexpr uint32_t kItems = 8;
constexpr size_t kCharacters = 60;

std::string describeTensor(const at::Tensor& tensor) {
  std::string text = dtypeName(tensor.scalar_type()) + "[";
  for (int64_t i = 0; i < tensor.dim(); i++) text += (i > 0 ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]";
}

std::string describeArray(const Napi::Array& array, int depth) {
  if (depth == 0) return "[…]";
  std::string text = "[";
  const uint32_t length = array.Length();
  for (uint32_t i = 0; i < length && i < kItems; i++) text += (i > 0 ? ", " : "") + describe(array.Get(i), depth - 1);
  return text + (length > kItems ? ", …]" : "]");
}

// Quoted, without control characters, cut between characters.
std::string describeText(const std::string& text) {
  std::string quoted = "\"";
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    const bool startsCharacter = (code & 0xC0) != 0x80;
    if (quoted.size() > kCharacters && startsCharacter) return quoted + "…\"";
    quoted += code < 0x20 || code == 0x7F ? '?' : byte;
  }
  return quoted + "\"";
}

}  // namespace

std::string describe(const Napi::Value& value, int depth) {
  if (const at::Tensor* tensor = liveTensor(value)) return describeTensor(*tensor);
  if (isHandle(value)) return "one that was disposed of";
  if (value.IsArray()) return describeArray(value.As<Napi::Array>(), depth);
  if (value.IsString()) return describeText(value.As<Napi::String>().Utf8Value());
  if (value.IsFunction()) return "a function";
  if (value.IsObject() || value.IsExternal()) return "an object";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsNumber() && value.As<Napi::Number>().DoubleValue() == 0) return "0";
  return value.ToString().Utf8Value() + (value.IsBigInt() ? "n" : "");
}

std::string describeCall(const Operator& op, const Napi::CallbackInfo& info) {
  std::string text = op.name + "(";
  const auto& arguments = op.handle.schema().arguments();
  for (size_t i = 0; i < arguments.size() && i + 1 < info.Length(); i++) {
    if (info[i + 1].IsUndefined()) continue;
    if (text.back() != '(') text += ", ";
    text += arguments[i].name() + "=" + describe(info[i + 1]);
  }
  return text + ")";
}

}  // namespace torchjs
