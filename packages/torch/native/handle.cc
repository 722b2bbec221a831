#include "handle.h"

#include <utility>

#include "environment.h"

namespace torchjs {
namespace {

const void* storageKey(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

// Counts a handle on the tensor's storage.
void hold(Environment& environment, const at::Tensor& tensor, Memory memory) {
  const void* key = storageKey(tensor);
  if (key == nullptr) return;
  HeldStorage& held = environment.storages[key];
  if (held.handles++ > 0) return;
  held.bytes = memory == Memory::kTorch ? static_cast<int64_t>(tensor.storage().nbytes()) : 0;
}

// The converse: returns the bytes that V8 was told of and no handle keeps any more.
int64_t letGo(Environment& environment, const at::Tensor& tensor) {
  const auto found = environment.storages.find(storageKey(tensor));
  if (found == environment.storages.end() || --found->second.handles > 0) return 0;
  const int64_t bytes = found->second.isTold ? found->second.bytes : 0;
  environment.storages.erase(found);
  return bytes;
}

// The number that an external value carries, or 0. It is looked up and never followed, whatever addon it is of.
uintptr_t numberOf(const Napi::Value& value) {
  if (!value.IsExternal()) return 0;
  return reinterpret_cast<uintptr_t>(value.As<Napi::External<void>>().Data());
}

}  // namespace

Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor, Memory memory) {
  Environment& environment = environmentOf(env);
  const uintptr_t number = environment.nextHandle;
  auto handle = Napi::External<void>::New(env, reinterpret_cast<void*>(number));
  environment.nextHandle += 2;
  hold(environment, tensor, memory);
  environment.tensors.emplace(number, std::move(tensor));
  return handle;
}

Napi::Value wrapTensorOrNull(Napi::Env env, const at::Tensor& tensor) {
  return tensor.defined() ? wrapTensor(env, tensor) : env.Null();
}

bool isHandle(const Napi::Value& value) {
  const uintptr_t number = numberOf(value);
  const Environment& environment = environmentOf(value.Env());
  return number % 2 == 1 && number >= environment.firstHandle && number < environment.nextHandle;
}

const at::Tensor* liveTensor(const Napi::Value& value) {
  const uintptr_t number = numberOf(value);
  if (number == 0) return nullptr;
  const auto& tensors = environmentOf(value.Env()).tensors;
  const auto found = tensors.find(number);
  return found == tensors.end() ? nullptr : &found->second;
}

void leaveToCollector(const Napi::Value& handle) {
  const at::Tensor* tensor = liveTensor(handle);
  if (tensor == nullptr) return;
  Environment& environment = environmentOf(handle.Env());
  const auto found = environment.storages.find(storageKey(*tensor));
  if (found == environment.storages.end() || found->second.isTold) return;
  found->second.isTold = true;
  if (found->second.bytes > 0) Napi::MemoryManagement::AdjustExternalMemory(handle.Env(), found->second.bytes);
}

void disposeTensor(const Napi::Value& handle) {
  const Napi::Env env = handle.Env();
  Environment& environment = environmentOf(env);
  const auto found = environment.tensors.find(numberOf(handle));
  if (found == environment.tensors.end()) return;
  const int64_t bytes = letGo(environment, found->second);
  environment.tensors.erase(found);
  if (bytes > 0) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
  dropReturnedBuffers(env);
}

}  // namespace torchjs
