// Promises that other threads settle: c10d's, and the lanes that speak with a store.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace torchjs {

// One for each Environment. A promise keeps the event loop running until it is settled.
class Completions : public std::enable_shared_from_this<Completions> {
 public:
  // What a promise becomes: run on the JavaScript thread, whose throw rejects it.
  using Result = std::function<Napi::Value(Napi::Env)>;

  static std::shared_ptr<Completions> create(Napi::Env env);

  // On the JavaScript thread: a promise, and the number that settle() knows it by.
  // `debtor`, if there is one, is who will settle it.
  Napi::Promise open(Napi::Env env, const std::string& operation, uint64_t* number, const void* debtor = nullptr);

  // On the JavaScript thread: settles what this one still owes, as it will not any more.
  void abandon(const void* debtor, const Result& result);

  // On any thread. Does nothing once the Environment is going down.
  void settle(uint64_t number, Result result);

  // After this nothing reaches JavaScript any more.
  void close();

 private:
  struct Open {
    Napi::Promise::Deferred deferred;
    std::string operation;
    const void* debtor;
  };

  static void onJavaScriptThread(napi_env env, napi_value function, void* context, void* data);
  void drain(Napi::Env env);
  void finish(Napi::Env env, uint64_t number, const Result& result);

  std::mutex mutex_;
  napi_threadsafe_function wake_ = nullptr;
  std::vector<std::pair<uint64_t, Result>> settled_;

  // The JavaScript thread's alone.
  std::unordered_map<uint64_t, Open> open_;
  uint64_t next_ = 1;
};

}  // namespace torchjs
