#include "dispatch.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "convert.h"
#include "errors.h"
#include "tensor.h"

namespace torchjs {
namespace {

// An operator, looked up once. `returnedArgument[i]` is the argument that return i is the same tensor as
// (in-place operators), or -1.
struct Operator {
  Operator(std::string fullName, c10::OperatorHandle found) : name(std::move(fullName)), handle(std::move(found)) {
    const auto& schema = handle.schema();
    for (const auto& returned : schema.returns()) returnedArgument.push_back(writtenArgument(schema, returned));
  }

  static int writtenArgument(const c10::FunctionSchema& schema, const c10::Argument& returned) {
    const auto* alias = returned.alias_info();
    if (alias == nullptr || !alias->isWrite()) return -1;
    for (size_t i = 0; i < schema.arguments().size(); i++) {
      const auto* other = schema.arguments()[i].alias_info();
      if (other != nullptr && other->isWrite() && other->beforeSets() == alias->beforeSets())
        return static_cast<int>(i);
    }
    return -1;
  }

  std::string name;
  c10::OperatorHandle handle;
  std::vector<int> returnedArgument;
};

std::mutex operatorsMutex;
std::map<std::string, std::unique_ptr<Operator>>& operators() {
  static std::map<std::string, std::unique_ptr<Operator>> all;
  return all;
}

std::pair<std::string, std::string> splitName(const std::string& fullName) {
  const size_t scope = fullName.find("::");
  const size_t dot = fullName.find('.', scope == std::string::npos ? 0 : scope);
  if (dot == std::string::npos) return {fullName, ""};
  return {fullName.substr(0, dot), fullName.substr(dot + 1)};
}

// op("aten::add.Tensor"): an opaque operator for call(), or null when this libtorch has none of that name.
Napi::Value findOperator(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string fullName = info[0].As<Napi::String>().Utf8Value();
  return guarded(env, fullName, [&]() -> Napi::Value {
    std::lock_guard<std::mutex> lock(operatorsMutex);
    auto& slot = operators()[fullName];
    if (slot == nullptr) {
      const auto name = splitName(fullName);
      auto found = c10::Dispatcher::singleton().findSchema({name.first, name.second});
      if (!found.has_value()) return env.Null();
      slot = std::make_unique<Operator>(fullName, *found);
    }
    return Napi::External<Operator>::New(env, slot.get());
  });
}

Napi::Value schema(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, "schema", [&]() -> Napi::Value {
    std::ostringstream text;
    text << info[0].As<Napi::External<Operator>>().Data()->handle.schema();
    return Napi::String::New(env, text.str());
  });
}

// "the call" for an error message: name(argument=value, …).
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

// call(operator, ...arguments): undefined takes a default; in-place operators return the handle they were given.
Napi::Value call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Operator& op = *info[0].As<Napi::External<Operator>>().Data();
  return guarded(env, op.name, [&]() -> Napi::Value {
    const auto& arguments = op.handle.schema().arguments();
    if (info.Length() > arguments.size() + 1) {
      throw ArgumentError("", "expected at most " + std::to_string(arguments.size()) + " arguments, received " +
                                  std::to_string(info.Length() - 1));
    }
    torch::jit::Stack stack;
    stack.reserve(arguments.size());
    for (size_t i = 0; i < arguments.size(); i++) stack.push_back(toIValue(info[i + 1], arguments[i]));
    try {
      op.handle.callBoxed(&stack);
    } catch (c10::Error& error) {
      error.add_context("in " + describeCall(op, info));
      throw;
    }
    const auto& returned = op.returnedArgument;
    auto result = [&](size_t i) -> Napi::Value {
      return returned[i] >= 0 ? info[returned[i] + 1] : fromIValue(env, stack[i]);
    };
    if (stack.size() == 1) return result(0);
    if (stack.empty()) return env.Undefined();
    auto all = Napi::Array::New(env, stack.size());
    for (size_t i = 0; i < stack.size(); i++) all.Set(static_cast<uint32_t>(i), result(i));
    return all;
  });
}

}  // namespace

void exportDispatch(Napi::Env env, Napi::Object exports) {
  exports.Set("op", Napi::Function::New(env, findOperator));
  exports.Set("schema", Napi::Function::New(env, schema));
  exports.Set("call", Napi::Function::New(env, call));
}

}  // namespace torchjs
