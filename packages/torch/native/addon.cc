// The addon's entry: everything that TypeScript sees of libtorch.
#include <napi.h>

#include "autograd.h"
#include "dispatch.h"
#include "runtime.h"
#include "tensor.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  torchjs::exportTensor(env, exports);
  torchjs::exportDispatch(env, exports);
  torchjs::exportAutograd(env, exports);
  torchjs::exportRuntime(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(torch, init)
