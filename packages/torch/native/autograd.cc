#include "autograd.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <vector>

#include "errors.h"
#include "tensor.h"

namespace torchjs {
namespace {

using torch::autograd::variable_list;

// An array of handles; null or undefined inside it stands for an undefined tensor.
variable_list tensorsFrom(const Napi::Value& value) {
  variable_list tensors;
  if (!value.IsArray()) return tensors;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value item = array.Get(i);
    tensors.push_back(item.IsExternal() ? unwrapTensor(item) : at::Tensor());
  }
  return tensors;
}

// backward(outputs, gradients, retainGraph, createGraph): adds to the .grad of every leaf.
Napi::Value backward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "backward", [&]() -> Napi::Value {
    torch::autograd::backward(tensorsFrom(info[0]), tensorsFrom(info[1]), info[2].ToBoolean().Value(),
                              info[3].ToBoolean().Value());
    return info.Env().Undefined();
  });
}

// grad(outputs, inputs, gradients, retainGraph, createGraph, allowUnused): null where an input was not used.
Napi::Value grad(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, "grad", [&]() -> Napi::Value {
    const variable_list grads =
        torch::autograd::grad(tensorsFrom(info[0]), tensorsFrom(info[1]), tensorsFrom(info[2]),
                              info[3].ToBoolean().Value(), info[4].ToBoolean().Value(), info[5].ToBoolean().Value());
    auto array = Napi::Array::New(env, grads.size());
    for (uint32_t i = 0; i < grads.size(); i++) {
      array.Set(i, grads[i].defined() ? wrapTensor(env, grads[i]) : env.Null());
    }
    return array;
  });
}

Napi::Value getGrad(const Napi::CallbackInfo& info) {
  const at::Tensor& gradient = unwrapTensor(info[0]).grad();
  return gradient.defined() ? wrapTensor(info.Env(), gradient) : info.Env().Null();
}

Napi::Value setGrad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "grad", [&]() -> Napi::Value {
    at::Tensor tensor = unwrapTensor(info[0]);
    tensor.mutable_grad() = info[1].IsExternal() ? unwrapTensor(info[1]) : at::Tensor();
    return info.Env().Undefined();
  });
}

Napi::Value requiresGrad(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), unwrapTensor(info[0]).requires_grad());
}

Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "requiresGrad", [&]() -> Napi::Value {
    unwrapTensor(info[0]).set_requires_grad(info[1].ToBoolean().Value());
    return info.Env().Undefined();
  });
}

Napi::Value isLeaf(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), unwrapTensor(info[0]).is_leaf());
}

// setGradEnabled(enabled): returns what it was.
Napi::Value setGradEnabled(const Napi::CallbackInfo& info) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(info[0].ToBoolean().Value());
  return Napi::Boolean::New(info.Env(), before);
}

}  // namespace

void exportAutograd(Napi::Env env, Napi::Object exports) {
  exports.Set("backward", Napi::Function::New(env, backward));
  exports.Set("grad", Napi::Function::New(env, grad));
  exports.Set("getGrad", Napi::Function::New(env, getGrad));
  exports.Set("setGrad", Napi::Function::New(env, setGrad));
  exports.Set("requiresGrad", Napi::Function::New(env, requiresGrad));
  exports.Set("setRequiresGrad", Napi::Function::New(env, setRequiresGrad));
  exports.Set("isLeaf", Napi::Function::New(env, isLeaf));
  exports.Set("setGradEnabled", Napi::Function::New(env, setGradEnabled));
}

}  // namespace torchjs
