#include "runtime.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <limits>

#include "convolution.h"
#include "errors.h"
#include "values.h"

namespace torchjs {
namespace {

// The version of the headers; the library's own stands in buildInformation().
Napi::Value version(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), TORCH_VERSION); }

Napi::Value buildInformation(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), at::show_config());
}

Napi::Value getThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  at::set_num_threads(static_cast<int>(toInteger(info[0], {"threads"}, 1, 1024)));
  return info.Env().Undefined();
}

Napi::Value cudaDeviceCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(at::getNumGPUs()));
}

Napi::Value manualSeed(const Napi::CallbackInfo& info) {
  at::manual_seed(static_cast<uint64_t>(toInteger(info[0], {"seed"}, 0, std::numeric_limits<int64_t>::max())));
  return info.Env().Undefined();
}

Napi::Value setDeterministic(const Napi::CallbackInfo& info) {
  at::globalContext().setDeterministicAlgorithms(toBoolean(info[0], {"deterministic"}), /*warn_only=*/true);
  return info.Env().Undefined();
}

// useCuda(index): makes it the device that "cuda" means on this thread, and convolutions and products there compute in
// float32 itself, the same way each time.
Napi::Value useCuda(const Napi::CallbackInfo& info) {
  const auto index = toInteger(info[0], {"index"}, 0, at::getNumGPUs() - 1);
  const c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
  cuda.setDevice(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)));
  auto& context = at::globalContext();
  context.setAllowTF32CuDNN(false);
  context.setAllowTF32CuBLAS(false);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  return info.Env().Undefined();
}

// loadLibrary(path): a shared library that registers operators, as torch.ops.load_library would load it.
Napi::Value loadLibrary(const Napi::CallbackInfo& info) {
  const std::string path = toText(info[0], {"path"});
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    throw ArgumentError("path", std::string("expected a loadable library for 'path', received ") + dlerror());
  }
  return info.Env().Undefined();
}

// mendConvolutions(): see there.
Napi::Value mend(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), mendConvolutions()); }

}  // namespace

void exportRuntime(Napi::Object exports) {
  define<version>(exports, "version");
  define<buildInformation>(exports, "buildInformation");
  define<getThreads>(exports, "getThreads");
  define<setThreads>(exports, "setThreads");
  define<cudaDeviceCount>(exports, "cudaDeviceCount");
  define<manualSeed>(exports, "manualSeed");
  define<setDeterministic>(exports, "setDeterministic");
  define<useCuda>(exports, "useCuda");
  define<loadLibrary>(exports, "loadLibrary");
  define<mend>(exports, "mendConvolutions");
}

}  // namespace torchjs
