// Tensor handles: what JavaScript holds of an at::Tensor.
#pragma once

#include <ATen/ATen.h>
#include <napi.h>

#include <cstdint>

namespace torchjs {

// A tensor held by JavaScript. `tensor` is undefined once the handle was disposed of.
struct TensorBox {
  static constexpr uint64_t kMagic = 0x746e736f72426f78;
  uint64_t magic = kMagic;
  at::Tensor tensor;
};

// Wraps a defined tensor, counts it, and tells V8 of the bytes that its storage keeps alive.
Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor);

// The box behind a handle, or nullptr when the value is no tensor handle.
TensorBox* boxOf(const Napi::Value& value);

// The tensor behind a handle; throws a JavaScript TypeError for anything else or a disposed one.
const at::Tensor& unwrapTensor(const Napi::Value& value);

void exportTensor(Napi::Env env, Napi::Object exports);

}  // namespace torchjs
