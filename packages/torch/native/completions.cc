#include "completions.h"

#include <c10/util/Exception.h>

#include <utility>

#include "errors.h"

namespace torchjs {

std::shared_ptr<Completions> Completions::create(Napi::Env env) {
  auto completions = std::make_shared<Completions>();
  auto* context = new std::shared_ptr<Completions>(completions);
  const auto forget = [](napi_env, void* data, void*) {
    auto* held = static_cast<std::shared_ptr<Completions>*>(data);
    (*held)->close();
    delete held;
  };
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "@peekaboo/torch distributed"), 0,
                                      1, context, forget, context, onJavaScriptThread, &completions->wake_);
  if (status != napi_ok) {
    delete context;
    TORCH_CHECK(false, "no thread-safe function could be made");
  }
  napi_unref_threadsafe_function(env, completions->wake_);
  return completions;
}

Napi::Promise Completions::open(Napi::Env env, const std::string& operation, uint64_t* number, const void* debtor) {
  *number = next_++;
  if (open_.empty() && wake_ != nullptr) napi_ref_threadsafe_function(env, wake_);
  const auto deferred = Napi::Promise::Deferred::New(env);
  open_.emplace(*number, Open{deferred, operation, debtor});
  return deferred.Promise();
}

void Completions::abandon(const void* debtor, const Result& result) {
  for (const auto& [number, open] : open_) {
    if (open.debtor == debtor) settle(number, result);
  }
}

void Completions::settle(uint64_t number, Result result) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (wake_ == nullptr) return;
  settled_.emplace_back(number, std::move(result));
  if (settled_.size() > 1) return;
  if (napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking) != napi_ok) wake_ = nullptr;
}

void Completions::close() {
  std::lock_guard<std::mutex> lock(mutex_);
  wake_ = nullptr;
  settled_.clear();
}

void Completions::onJavaScriptThread(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  const std::shared_ptr<Completions> self = *static_cast<std::shared_ptr<Completions>*>(context);
  self->drain(env);
}

void Completions::drain(Napi::Env env) {
  std::vector<std::pair<uint64_t, Result>> settled;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    settled.swap(settled_);
  }
  for (const auto& [number, result] : settled) finish(env, number, result);
  if (open_.empty() && wake_ != nullptr) napi_unref_threadsafe_function(env, wake_);
}

void Completions::finish(Napi::Env env, uint64_t number, const Result& result) {
  const auto found = open_.find(number);
  if (found == open_.end()) return;
  const Open open = std::move(found->second);
  open_.erase(found);
  try {
    open.deferred.Resolve(guarded(env, open.operation, [&] { return result(env); }));
  } catch (const Napi::Error& error) {
    open.deferred.Reject(error.Value());
  }
}

}  // namespace torchjs
