// The addon's entry: everything that TypeScript sees of libtorch.
#include <napi.h>

#include "autograd.h"
#include "dispatch.h"
#include "distributed.h"
#include "environment.h"
#include "runtime.h"
#include "tensor.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  torchjs::createEnvironment(env);
  torchjs::exportTensor(exports);
  torchjs::exportDispatch(exports);
  torchjs::exportAutograd(exports);
  torchjs::exportRuntime(exports);
  torchjs::exportDistributed(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(torch, init)
