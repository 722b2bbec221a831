#include "tensor.h"

#include <ATen/ATen.h>

#include <cstring>
#include <memory>
#include <utility>

#include "denormals.h"
#include "dtype.h"
#include "environment.h"
#include "errors.h"
#include "handle.h"
#include "values.h"

namespace torchjs {
namespace {

// A Uint8Array of exactly the bytes of a shape.
Napi::Uint8Array toBytes(const Napi::Value& value, const Place& place, const std::vector<int64_t>& shape,
                         at::ScalarType dtype) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    refuse(place, "a Uint8Array", value);
  }
  uint64_t need = c10::elementSize(dtype);
  for (const int64_t extent : shape) {
    TORCH_CHECK(!__builtin_mul_overflow(need, static_cast<uint64_t>(extent), &need), "the shape is too large");
  }
  const auto bytes = value.As<Napi::Uint8Array>();
  if (bytes.ByteLength() != need) {
    throw ArgumentError(place.argument, "expected " + std::to_string(need) +
                                            " bytes for this shape and dtype, received " +
                                            std::to_string(bytes.ByteLength()));
  }
  return bytes;
}

// A tensor over a buffer's own memory, which it keeps alive.
at::Tensor lend(Napi::Env env, Napi::Uint8Array bytes, const std::vector<int64_t>& shape, at::ScalarType dtype) {
  TORCH_CHECK(reinterpret_cast<uintptr_t>(bytes.Data()) % c10::elementSize(dtype) == 0, "the bytes are not aligned");
  napi_ref reference = nullptr;
  TORCH_CHECK(napi_create_reference(env, bytes, 1, &reference) == napi_ok, "the buffer could not be kept alive");
  auto giveBack = [lent = environmentOf(env).lent, reference](void*) {
    std::lock_guard<std::mutex> lock(lent->mutex);
    lent->returned.push_back(reference);
  };
  return at::from_blob(bytes.Data(), shape, std::move(giveBack), at::TensorOptions().dtype(dtype));
}

// fromBytes(bytes: Uint8Array, dtype, shape, share): the bytes are copied, or lent and kept alive when `share`.
Napi::Value fromBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  dropReturnedBuffers(env);
  const at::ScalarType dtype = toDtype(info[1], {"dtype"});
  const std::vector<int64_t> shape = toShape(info[2], {"shape"});
  const Napi::Uint8Array bytes = toBytes(info[0], {"bytes"}, shape, dtype);
  // An empty buffer has no address to lend.
  if (toBoolean(info[3], {"share"}) && bytes.ByteLength() > 0) {
    return wrapTensor(env, lend(env, bytes, shape, dtype), Memory::kJavaScript);
  }
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
  if (bytes.ByteLength() > 0) std::memcpy(tensor.data_ptr(), bytes.Data(), bytes.ByteLength());
  return wrapTensor(env, std::move(tensor));
}

bool liesRowMajor(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.is_contiguous() && !tensor.is_neg();
}

// readInto(tensor, bytes: Uint8Array): copies the elements there, row-major.
Napi::Value readInto(const Napi::CallbackInfo& info) {
  const at::Tensor tensor = tensorAt(info, 0).detach();
  auto bytes = toBytes(info[1], {"bytes"}, tensor.sizes().vec(), tensor.scalar_type());
  if (bytes.ByteLength() == 0) return info.Env().Undefined();
  if (liesRowMajor(tensor)) {
    // copy_ would wake all threads, which for a part of a tensor takes longer than the copy.
    std::memcpy(bytes.Data(), tensor.data_ptr(), bytes.ByteLength());
  } else {
    // Copies change nothing, but OpenMP's threads may begin here.
    const FlushDenormals flush;
    at::from_blob(bytes.Data(), tensor.sizes(), at::TensorOptions().dtype(tensor.scalar_type())).copy_(tensor);
  }
  return info.Env().Undefined();
}

Napi::Value item(const Napi::CallbackInfo& info) {
  const at::Scalar value = tensorAt(info, 0).item();
  if (value.isBoolean()) return Napi::Number::New(info.Env(), value.toBool() ? 1 : 0);
  if (value.isIntegral(/*includeBool=*/false)) return fromInteger(info.Env(), value.toLong());
  return Napi::Number::New(info.Env(), value.toDouble());
}

Napi::Value shape(const Napi::CallbackInfo& info) {
  const at::Tensor tensor = tensorAt(info, 0);
  auto sizes = Napi::Array::New(info.Env(), tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); i++) {
    sizes.Set(static_cast<uint32_t>(i), Napi::Number::New(info.Env(), static_cast<double>(tensor.size(i))));
  }
  return sizes;
}

Napi::Value dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), dtypeName(tensorAt(info, 0).scalar_type()));
}

Napi::Value device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), tensorAt(info, 0).device().str());
}

Napi::Value dispose(const Napi::CallbackInfo& info) {
  if (!isHandle(info[0])) refuse({"tensor"}, "a Tensor", info[0]);
  disposeTensor(info[0]);
  return info.Env().Undefined();
}

Napi::Value unscoped(const Napi::CallbackInfo& info) {
  if (!isHandle(info[0])) refuse({"tensor"}, "a Tensor", info[0]);
  leaveToCollector(info[0]);
  return info.Env().Undefined();
}

Napi::Value isLive(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), liveTensor(info[0]) != nullptr);
}

Napi::Value liveTensorCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(environmentOf(info.Env()).tensors.size()));
}

// The bytes outside its heap that V8 knows of, tensors' among them.
Napi::Value externalMemory(const Napi::CallbackInfo& info) {
  return fromInteger(info.Env(), Napi::MemoryManagement::AdjustExternalMemory(info.Env(), 0));
}

}  // namespace

void exportTensor(Napi::Object exports) {
  define<fromBytes>(exports, "fromBytes");
  define<readInto>(exports, "readInto");
  define<item>(exports, "item");
  define<shape>(exports, "shape");
  define<dtype>(exports, "dtype");
  define<device>(exports, "device");
  define<dispose>(exports, "dispose");
  define<unscoped>(exports, "unscoped");
  define<isLive>(exports, "isLive");
  define<liveTensorCount>(exports, "liveTensorCount");
  define<externalMemory>(exports, "externalMemory");
}

}  // namespace torchjs
