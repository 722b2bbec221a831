// Tensor handles: what JavaScript holds of an at::Tensor. A handle is an external value that carries a number, never
// given twice; the tensor stands under it in the thread's Environment. There is no finaliser: Node would put it off
// until a turn of the event loop, which a training loop may not reach for hours. TypeScript sees to the disposal.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

namespace torchjs {

// Whose bytes a tensor stands on: libtorch's, of which V8 may be told, or a JavaScript buffer's, which V8 knows.
enum class Memory { kTorch, kJavaScript };

// Wraps a defined tensor.
Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor, Memory memory = Memory::kTorch);

// As wrapTensor; null for an undefined tensor, which is how libtorch says "none".
Napi::Value wrapTensorOrNull(Napi::Env env, const at::Tensor& tensor);

// Whether the value is a handle of this thread, of a live tensor or one that was disposed of.
bool isHandle(const Napi::Value& value);

// The tensor behind a handle, or nullptr when there is none, or none any more.
const at::Tensor* liveTensor(const Napi::Value& value);

// Tells V8 of the memory that collecting the handle would free. What a scope will free isn't told: V8 can't, and would
// look through its heap for garbage in every training step.
void leaveToCollector(const Napi::Value& handle);

// Frees the tensor behind a handle; harmless when that was done before.
void disposeTensor(const Napi::Value& handle);

}  // namespace torchjs
