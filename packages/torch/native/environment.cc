#include "environment.h"

namespace torchjs {

void createEnvironment(Napi::Env env) { env.SetInstanceData<Environment>(new Environment()); }

Environment& environmentOf(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

void dropReturnedBuffers(Napi::Env env) {
  LentBuffers& lent = *environmentOf(env).lent;
  std::vector<napi_ref> returned;
  {
    std::lock_guard<std::mutex> lock(lent.mutex);
    returned.swap(lent.returned);
  }
  for (napi_ref reference : returned) napi_delete_reference(env, reference);
}

}  // namespace torchjs
