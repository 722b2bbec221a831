#include "dispatch.h"

#include <cstddef>
#include <memory>
#include <sstream>
#include <utility>

#include "convert.h"
#include "denormals.h"
#include "describe.h"
#include "dtype.h"
#include "environment.h"
#include "errors.h"
#include "values.h"

namespace torchjs {
namespace {

std::pair<std::string, std::string> splitName(const std::string& fullName) {
  const size_t scope = fullName.find("::");
  const size_t dot = fullName.find('.', scope == std::string::npos ? 0 : scope);
  if (dot == std::string::npos) return {fullName, ""};
  return {fullName.substr(0, dot), fullName.substr(dot + 1)};
}

int writtenArgument(const c10::FunctionSchema& schema, const c10::Argument& returned) {
  const auto* alias = returned.alias_info();
  if (alias == nullptr || !alias->isWrite()) return -1;
  for (size_t i = 0; i < schema.arguments().size(); i++) {
    const auto* other = schema.arguments()[i].alias_info();
    if (other != nullptr && other->isWrite() && other->beforeSets() == alias->beforeSets()) return static_cast<int>(i);
  }
  return -1;
}

// op("aten::add.Tensor"): the operator's number for call() and schema(), or null when this libtorch has none such.
Napi::Value findOperator(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string fullName = toText(info[0], {"name"});
  Environment& environment = environmentOf(env);
  const auto known = environment.operatorIndex.find(fullName);
  if (known != environment.operatorIndex.end()) return Napi::Number::New(env, known->second);
  const auto name = splitName(fullName);
  const auto found = c10::Dispatcher::singleton().findSchema({name.first, name.second});
  if (!found.has_value()) return env.Null();
  const size_t index = environment.operators.size();
  environment.operators.emplace_back(fullName, *found);
  environment.operatorIndex.emplace(fullName, index);
  return Napi::Number::New(env, index);
}

const Operator& operatorOf(const Napi::Value& value) {
  const auto& operators = environmentOf(value.Env()).operators;
  const double index = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(index >= 0 && index < operators.size())) refuse({"operator"}, "an operator of op()", value);
  return operators[static_cast<size_t>(index)];
}

Napi::Value schema(const Napi::CallbackInfo& info) {
  std::ostringstream text;
  text << operatorOf(info[0]).handle.schema();
  return Napi::String::New(info.Env(), text.str());
}

Napi::Value returned(const Napi::CallbackInfo& info, const Operator& op, const torch::jit::Stack& stack, size_t i) {
  const Operator::Return& how = op.returns[i];
  if (how.argument >= 0) return info[how.argument + 1];
  if (how.dtype) return Napi::String::New(info.Env(), dtypeName(static_cast<at::ScalarType>(stack[i].toInt())));
  return fromIValue(info.Env(), stack[i]);
}

Napi::Value callOperator(const Napi::CallbackInfo& info, const Operator& op) {
  const auto& arguments = op.handle.schema().arguments();
  if (info.Length() > arguments.size() + 1) {
    throw ArgumentError("", "expected at most " + std::to_string(arguments.size()) + " arguments, received " +
                                std::to_string(info.Length() - 1));
  }
  torch::jit::Stack stack;
  stack.reserve(arguments.size());
  for (size_t i = 0; i < arguments.size(); i++) stack.push_back(toIValue(info[i + 1], arguments[i]));
  {
    const FlushDenormals flush;
    op.handle.callBoxed(&stack);
  }
  if (stack.empty()) return info.Env().Undefined();
  if (stack.size() == 1) return returned(info, op, stack, 0);
  auto all = Napi::Array::New(info.Env(), stack.size());
  for (size_t i = 0; i < stack.size(); i++) all.Set(static_cast<uint32_t>(i), returned(info, op, stack, i));
  return all;
}

// call(operator, ...arguments): undefined takes a default; in-place operators return the handle they were given.
Napi::Value call(const Napi::CallbackInfo& info) {
  const Operator& op = operatorOf(info[0]);
  return guarded(
      info.Env(), op.name, [&] { return callOperator(info, op); }, [&] { return ", in " + describeCall(op, info); });
}

}  // namespace

Operator::Operator(std::string fullName, const c10::OperatorHandle& found) : name(std::move(fullName)), handle(found) {
  const auto& schema = handle.schema();
  for (const auto& one : schema.returns()) {
    returns.push_back({writtenArgument(schema, one), one.real_type()->kind() == c10::TypeKind::ScalarTypeType});
  }
}

void exportDispatch(Napi::Object exports) {
  define<findOperator>(exports, "op");
  define<schema>(exports, "schema");
  define<call>(exports, "call");
}

}  // namespace torchjs
