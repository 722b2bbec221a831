#include "tensor.h"

#include <atomic>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "errors.h"

namespace torchjs {
namespace {

std::atomic<int64_t> liveTensors{0};

// Bytes are told to V8 once per storage, however many handles (views) share it.
struct Held {
  int64_t handles = 0;
  int64_t bytes = 0;
};
std::mutex heldMutex;
std::unordered_map<const void*, Held> heldStorages;

const void* storageKey(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

int64_t hold(const at::Tensor& tensor) {
  const void* key = storageKey(tensor);
  if (key == nullptr) return 0;
  std::lock_guard<std::mutex> lock(heldMutex);
  Held& held = heldStorages[key];
  if (held.handles++ > 0) return 0;
  held.bytes = static_cast<int64_t>(tensor.storage().nbytes());
  return held.bytes;
}

int64_t letGo(const at::Tensor& tensor) {
  const void* key = storageKey(tensor);
  if (key == nullptr) return 0;
  std::lock_guard<std::mutex> lock(heldMutex);
  auto found = heldStorages.find(key);
  if (found == heldStorages.end() || --found->second.handles > 0) return 0;
  const int64_t bytes = found->second.bytes;
  heldStorages.erase(found);
  return bytes;
}

void release(Napi::Env env, TensorBox* box) {
  if (!box->tensor.defined()) return;
  const int64_t bytes = letGo(box->tensor);
  box->tensor.reset();
  --liveTensors;
  if (bytes > 0) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

// JavaScript buffers lent to tensors. A tensor may die on any thread, a reference only on its own, so the
// deleter queues the reference here and the next call on the JavaScript thread drops it.
struct LentBuffers {
  std::mutex mutex;
  std::vector<napi_ref> done;
};

// Shared, because a tensor may outlive the JavaScript environment whose buffer it was lent.
using SharedLentBuffers = std::shared_ptr<LentBuffers>;

SharedLentBuffers& lentOf(Napi::Env env) {
  auto* lent = env.GetInstanceData<SharedLentBuffers>();
  if (lent == nullptr) {
    lent = new SharedLentBuffers(std::make_shared<LentBuffers>());
    env.SetInstanceData<SharedLentBuffers>(lent);
  }
  return *lent;
}

void dropReturned(Napi::Env env) {
  const SharedLentBuffers lent = lentOf(env);
  std::vector<napi_ref> done;
  {
    std::lock_guard<std::mutex> lock(lent->mutex);
    done.swap(lent->done);
  }
  for (napi_ref reference : done) napi_delete_reference(env, reference);
}

std::vector<int64_t> shapeFrom(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<int64_t> shape(array.Length());
  for (uint32_t i = 0; i < shape.size(); i++) shape[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return shape;
}

// fromBytes(bytes: Uint8Array, dtype, shape, share): the bytes are copied, or lent and kept alive when `share`.
Napi::Value fromBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, "fromBytes", [&]() -> Napi::Value {
    dropReturned(env);
    auto bytes = info[0].As<Napi::Uint8Array>();
    const auto dtype = static_cast<at::ScalarType>(info[1].As<Napi::Number>().Int32Value());
    const std::vector<int64_t> shape = shapeFrom(info[2]);
    uint64_t need = c10::elementSize(dtype);
    for (int64_t extent : shape) {
      TORCH_CHECK(extent >= 0, "a shape has no negative extent, received ", extent);
      TORCH_CHECK(!__builtin_mul_overflow(need, static_cast<uint64_t>(extent), &need), "the shape is too large");
    }
    TORCH_CHECK(bytes.ByteLength() == need, "expected ", need, " bytes for this shape and dtype, received ",
                bytes.ByteLength());
    const auto options = at::TensorOptions().dtype(dtype);
    if (!info[3].ToBoolean().Value()) {
      at::Tensor tensor = at::empty(shape, options);
      if (need > 0) std::memcpy(tensor.data_ptr(), bytes.Data(), need);
      return wrapTensor(env, std::move(tensor));
    }
    napi_ref reference = nullptr;
    TORCH_CHECK(napi_create_reference(env, bytes, 1, &reference) == napi_ok, "the buffer could not be kept alive");
    const SharedLentBuffers lent = lentOf(env);
    auto giveBack = [lent, reference](void*) {
      std::lock_guard<std::mutex> lock(lent->mutex);
      lent->done.push_back(reference);
    };
    return wrapTensor(env, at::from_blob(bytes.Data(), shape, giveBack, options));
  });
}

// toBytes(handle): a copy of the elements, row-major, as an ArrayBuffer.
Napi::Value toBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, "toBytes", [&]() -> Napi::Value {
    const at::Tensor tensor = unwrapTensor(info[0]).detach().to(at::kCPU).contiguous();
    const size_t bytes = tensor.nbytes();
    auto buffer = Napi::ArrayBuffer::New(env, bytes);
    if (bytes > 0) std::memcpy(buffer.Data(), tensor.data_ptr(), bytes);
    return buffer;
  });
}

Napi::Value item(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, "item", [&]() -> Napi::Value {
    const at::Scalar value = unwrapTensor(info[0]).item();
    return Napi::Number::New(env, value.isBoolean() ? (value.toBool() ? 1 : 0) : value.toDouble());
  });
}

Napi::Value shape(const Napi::CallbackInfo& info) {
  const at::Tensor& tensor = unwrapTensor(info[0]);
  auto sizes = Napi::Array::New(info.Env(), tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); i++) {
    sizes.Set(static_cast<uint32_t>(i), Napi::Number::New(info.Env(), static_cast<double>(tensor.size(i))));
  }
  return sizes;
}

Napi::Value dtype(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<int>(unwrapTensor(info[0]).scalar_type()));
}

Napi::Value device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), unwrapTensor(info[0]).device().str());
}

Napi::Value dispose(const Napi::CallbackInfo& info) {
  TensorBox* box = boxOf(info[0]);
  if (box == nullptr) throw Napi::TypeError::New(info.Env(), "dispose: expected a tensor handle");
  release(info.Env(), box);
  return info.Env().Undefined();
}

Napi::Value isLive(const Napi::CallbackInfo& info) {
  const TensorBox* box = boxOf(info[0]);
  return Napi::Boolean::New(info.Env(), box != nullptr && box->tensor.defined());
}

Napi::Value liveTensorCount(const Napi::CallbackInfo& info) {
  dropReturned(info.Env());
  return Napi::Number::New(info.Env(), static_cast<double>(liveTensors.load()));
}

}  // namespace

Napi::Value wrapTensor(Napi::Env env, at::Tensor tensor) {
  auto box = std::make_unique<TensorBox>();
  const int64_t bytes = hold(tensor);
  box->tensor = std::move(tensor);
  ++liveTensors;
  TensorBox* raw = box.get();
  auto external = Napi::External<TensorBox>::New(env, raw, [](Napi::Env finalEnv, TensorBox* dead) {
    release(finalEnv, dead);
    delete dead;
  });
  box.release();
  if (bytes > 0) Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  return external;
}

TensorBox* boxOf(const Napi::Value& value) {
  if (!value.IsExternal()) return nullptr;
  auto* box = value.As<Napi::External<TensorBox>>().Data();
  return box != nullptr && box->magic == TensorBox::kMagic ? box : nullptr;
}

const at::Tensor& unwrapTensor(const Napi::Value& value) {
  const TensorBox* box = boxOf(value);
  if (box == nullptr) throw Napi::TypeError::New(value.Env(), "expected a tensor handle");
  if (!box->tensor.defined()) throw Napi::TypeError::New(value.Env(), "the tensor was disposed of");
  return box->tensor;
}

void exportTensor(Napi::Env env, Napi::Object exports) {
  exports.Set("fromBytes", Napi::Function::New(env, fromBytes));
  exports.Set("toBytes", Napi::Function::New(env, toBytes));
  exports.Set("item", Napi::Function::New(env, item));
  exports.Set("shape", Napi::Function::New(env, shape));
  exports.Set("dtype", Napi::Function::New(env, dtype));
  exports.Set("device", Napi::Function::New(env, device));
  exports.Set("dispose", Napi::Function::New(env, dispose));
  exports.Set("isLive", Napi::Function::New(env, isLive));
  exports.Set("liveTensorCount", Napi::Function::New(env, liveTensorCount));
}

}  // namespace torchjs
