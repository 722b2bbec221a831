#include "runtime.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <string>

#include "errors.h"

namespace torchjs {
namespace {

Napi::Value version(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), TORCH_VERSION); }

Napi::Value buildInformation(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), at::show_config());
}

Napi::Value getThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "setThreads", [&]() -> Napi::Value {
    at::set_num_threads(info[0].As<Napi::Number>().Int32Value());
    return info.Env().Undefined();
  });
}

Napi::Value cudaDeviceCount(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "cudaDeviceCount", [&]() -> Napi::Value {
    const bool cuda = at::hasCUDA();
    return Napi::Number::New(info.Env(), cuda ? static_cast<double>(at::detail::getCUDAHooks().getNumGPUs()) : 0);
  });
}

Napi::Value manualSeed(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), "manualSeed", [&]() -> Napi::Value {
    at::manual_seed(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
  });
}

Napi::Value setDeterministic(const Napi::CallbackInfo& info) {
  at::globalContext().setDeterministicAlgorithms(info[0].ToBoolean().Value(), /*warn_only=*/true);
  return info.Env().Undefined();
}

// loadLibrary(path): a shared library that registers operators, as torch.ops.load_library would load it.
Napi::Value loadLibrary(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  return guarded(env, "loadLibrary", [&]() -> Napi::Value {
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) throw ArgumentError("path", dlerror());
    return env.Undefined();
  });
}

}  // namespace

void exportRuntime(Napi::Env env, Napi::Object exports) {
  exports.Set("version", Napi::Function::New(env, version));
  exports.Set("buildInformation", Napi::Function::New(env, buildInformation));
  exports.Set("getThreads", Napi::Function::New(env, getThreads));
  exports.Set("setThreads", Napi::Function::New(env, setThreads));
  exports.Set("cudaDeviceCount", Napi::Function::New(env, cudaDeviceCount));
  exports.Set("manualSeed", Napi::Function::New(env, manualSeed));
  exports.Set("setDeterministic", Napi::Function::New(env, setDeterministic));
  exports.Set("loadLibrary", Napi::Function::New(env, loadLibrary));
}

}  // namespace torchjs
