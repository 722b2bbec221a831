// Values and calls in a few words, for error messages.
#pragma once

#include <napi.h>

#include <string>

#include "operator.h"

namespace torchjs {

// "float32[2, 3]", "\"x\"", "[1, 2]". Lists, depths and texts are cut short.
std::string describe(const Napi::Value& value, int depth = 2);

// "aten::add.Tensor(self=float32[2], other=float32[3])" for call(operator, ...arguments).
std::string describeCall(const Operator& op, const Napi::CallbackInfo& info);

}  // namespace torchjs
