// JavaScript values to IValues and back, driven by an operator schema's own types.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <napi.h>

namespace torchjs {

// Converts one argument by its schema entry; undefined takes the schema's default. Throws ArgumentError.
c10::IValue toIValue(const Napi::Value& value, const c10::Argument& argument);

// Converts a returned value; tensors become fresh handles, tuples and lists arrays.
Napi::Value fromIValue(Napi::Env env, const c10::IValue& value);

}  // namespace torchjs
