#ifdef TORCHJS_C10D

#include "distributed_state.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <unordered_set>

#include "environment.h"

namespace torchjs {
namespace {

// Every thread's, for the end of the process. Never destroyed: that end comes after those of static objects.
struct Registry {
  std::mutex mutex;
  std::unordered_set<Distributed*> all;
};

Registry& registry() {
  static auto* one = new Registry;
  return *one;
}

void closeAll() {
  std::lock_guard<std::mutex> lock(registry().mutex);
  for (Distributed* distributed : registry().all) distributed->close();
  registry().all.clear();
}

// Threads that are left behind may run this code after the last JavaScript thread that loaded it has ended.
void stayLoaded() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<void*>(&closeAll), &info) == 0) return;
  ::dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

void closeThread(void* data) { static_cast<Distributed*>(data)->close(); }

}  // namespace

Distributed& Distributed::of(Napi::Env env) {
  auto& held = environmentOf(env).distributed;
  if (held == nullptr) {
    held = std::make_shared<Distributed>(env);
    // The Environment itself goes later, when promises can't be kept from reaching JavaScript any more.
    napi_add_env_cleanup_hook(env, closeThread, held.get());
  }
  return *held;
}

Distributed::Distributed(Napi::Env env) : completions(Completions::create(env)) {
  static std::once_flag once;
  std::call_once(once, [] {
    stayLoaded();
    std::atexit(closeAll);
  });
  std::lock_guard<std::mutex> lock(registry().mutex);
  registry().all.insert(this);
}

Distributed::~Distributed() {
  {
    std::lock_guard<std::mutex> lock(registry().mutex);
    registry().all.erase(this);
  }
  close();
}

void Distributed::close() {
  completions->close();
  for (const auto& [number, reducer] : reducers) reducer->dispose();
  for (const auto& [number, group] : groups) group->close();
  collectives.clear();
  reducers.clear();
  groups.clear();
  stores.clear();
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
