#include "autograd.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <cstddef>

#include "denormals.h"
#include "errors.h"
#include "handle.h"
#include "values.h"

namespace torchjs {
namespace {

using torch::autograd::variable_list;

bool flagAt(const Napi::CallbackInfo& info, size_t i, const char* name) { return toBoolean(info[i], {name}); }

variable_list tensorsAt(const Napi::CallbackInfo& info, size_t i, const char* name) {
  const Napi::Array array = toArray(info[i], {name});
  variable_list tensors;
  for (uint32_t j = 0; j < array.Length(); j++) tensors.push_back(toTensor(array.Get(j), {name, nullptr, j}));
  return tensors;
}

// Gradients to start from: none, or one an output; null stands for "ones".
variable_list gradientsAt(const Napi::CallbackInfo& info, size_t i, size_t outputs) {
  constexpr const char* kName = "gradients";
  const Napi::Array array = toArray(info[i], {kName});
  if (array.Length() > 0 && array.Length() != outputs) {
    refuse({kName}, "as many gradients as outputs (" + std::to_string(outputs) + ")", info[i]);
  }
  variable_list tensors;
  for (uint32_t j = 0; j < array.Length(); j++) {
    const Napi::Value item = array.Get(j);
    tensors.push_back(item.IsNull() ? at::Tensor() : toTensor(item, {kName, nullptr, j}));
  }
  return tensors;
}

// backward(outputs, gradients, retainGraph, createGraph): adds to the .grad of every leaf.
Napi::Value backward(const Napi::CallbackInfo& info) {
  const variable_list outputs = tensorsAt(info, 0, "outputs");
  const variable_list gradients = gradientsAt(info, 1, outputs.size());
  const bool retainGraph = flagAt(info, 2, "retainGraph");
  const bool createGraph = flagAt(info, 3, "createGraph");
  const FlushDenormals flush;
  torch::autograd::backward(outputs, gradients, retainGraph, createGraph);
  return info.Env().Undefined();
}

// grad(outputs, inputs, gradients, retainGraph, createGraph, allowUnused): null where an input was not used.
Napi::Value grad(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const variable_list outputs = tensorsAt(info, 0, "outputs");
  const variable_list inputs = tensorsAt(info, 1, "inputs");
  const variable_list gradients = gradientsAt(info, 2, outputs.size());
  const bool retainGraph = flagAt(info, 3, "retainGraph");
  const bool createGraph = flagAt(info, 4, "createGraph");
  const bool allowUnused = flagAt(info, 5, "allowUnused");
  variable_list grads;
  {
    const FlushDenormals flush;
    grads = torch::autograd::grad(outputs, inputs, gradients, retainGraph, createGraph, allowUnused);
  }
  auto array = Napi::Array::New(env, grads.size());
  for (uint32_t i = 0; i < grads.size(); i++) array.Set(i, wrapTensorOrNull(env, grads[i]));
  return array;
}

Napi::Value getGrad(const Napi::CallbackInfo& info) {
  const at::Tensor tensor = tensorAt(info, 0);
  // Only leaves keep theirs; libtorch would print a warning for any other.
  if (!tensor.is_leaf() && !tensor.retains_grad()) return info.Env().Null();
  return wrapTensorOrNull(info.Env(), tensor.grad());
}

// setGrad(tensor, gradient | null)
Napi::Value setGrad(const Napi::CallbackInfo& info) {
  const at::Tensor tensor = tensorAt(info, 0);
  const at::Tensor gradient = info[1].IsNull() ? at::Tensor() : toTensor(info[1], {"gradient"});
  if (gradient.defined()) {
    const bool fits = gradient.sizes() == tensor.sizes() && gradient.scalar_type() == tensor.scalar_type() &&
                      gradient.device() == tensor.device();
    if (!fits) refuse({"gradient"}, "a gradient of the tensor's shape, dtype and device", info[1]);
    if (gradient.is_same(tensor)) refuse({"gradient"}, "another tensor than the one it is for", info[1]);
  }
  tensor.mutable_grad() = gradient;
  return info.Env().Undefined();
}

Napi::Value requiresGrad(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorAt(info, 0).requires_grad());
}

Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  tensorAt(info, 0).requires_grad_(flagAt(info, 1, "requiresGrad"));
  return info.Env().Undefined();
}

Napi::Value isLeaf(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorAt(info, 0).is_leaf());
}

// setGradEnabled(enabled): returns what it was.
Napi::Value setGradEnabled(const Napi::CallbackInfo& info) {
  const bool enabled = flagAt(info, 0, "enabled");
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled);
  return Napi::Boolean::New(info.Env(), before);
}

}  // namespace

void exportAutograd(Napi::Object exports) {
  define<backward>(exports, "backward");
  define<grad>(exports, "grad");
  define<getGrad>(exports, "getGrad");
  define<setGrad>(exports, "setGrad");
  define<requiresGrad>(exports, "requiresGrad");
  define<setRequiresGrad>(exports, "setRequiresGrad");
  define<isLeaf>(exports, "isLeaf");
  define<setGradEnabled>(exports, "setGradEnabled");
}

}  // namespace torchjs
