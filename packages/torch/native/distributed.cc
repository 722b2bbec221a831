#include "distributed.h"

#include "errors.h"

#ifdef TORCHJS_C10D

#include <exception>
#include <utility>

#include "distributed_calls.h"

namespace torchjs {
namespace {

constexpr int64_t kLongest = 7LL * 24 * 3600 * 1000;

// A promise that is broken if its request is dropped.
struct Asked {
  Asked(std::shared_ptr<Completions> all, uint64_t promise) : completions(std::move(all)), number(promise) {}
  ~Asked() {
    if (!answered) fail("the store was closed");
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  void answer(Completions::Result result) {
    answered = true;
    completions->settle(number, std::move(result));
  }
  void fail(const std::string& text) {
    answer([failure = DistributedFailure(text)](Napi::Env) -> Napi::Value { throw DistributedFailure(failure); });
  }

  const std::shared_ptr<Completions> completions;
  const uint64_t number;
  bool answered = false;
};

Napi::Value distributedBackends(const Napi::CallbackInfo& info) { return fromTexts(info.Env(), Group::backends()); }

}  // namespace

std::shared_ptr<StoreClient> storeAt(Napi::Env env, const Napi::Value& number) {
  return itemAt(Distributed::of(env).stores, number, "store");
}

std::shared_ptr<Group> groupAt(Napi::Env env, const Napi::Value& number) {
  return itemAt(Distributed::of(env).groups, number, "group");
}

Napi::Value ask(Napi::Env env, StoreClient& client, const char* operation,
                std::function<Completions::Result(OpenedStore& opened, const std::atomic<bool>& closing)> request) {
  const auto completions = Distributed::of(env).completions;
  uint64_t number = 0;
  const Napi::Promise promise = completions->open(env, operation, &number, &client);
  const auto asked = std::make_shared<Asked>(completions, number);
  client.lane.run([asked, request, opened = client.opened](const std::atomic<bool>& closing) {
    try {
      asked->answer(request(*opened, closing));
    } catch (const std::exception& error) {
      asked->fail(oneSentence(error.what()));
    }
  });
  return promise;
}

std::chrono::milliseconds toTimeout(const Napi::Value& value) {
  return std::chrono::milliseconds(toInteger(value, {"timeoutMs"}, 1, kLongest));
}

std::vector<std::string> toTexts(const Napi::Value& value, const char* name) {
  const Napi::Array array = toArray(value, {name});
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); i++) texts.push_back(toText(array.Get(i), {name, nullptr, i}));
  return texts;
}

void exportDistributed(Napi::Object exports) {
  define<distributedBackends>(exports, "distributedBackends");
  exportStores(exports);
  exportGroups(exports);
  exportCollectives(exports);
  exportReducers(exports);
}

}  // namespace torchjs

#else

namespace torchjs {
namespace {

Napi::Value distributedBackends(const Napi::CallbackInfo& info) { return Napi::Array::New(info.Env(), 0); }

}  // namespace

void exportDistributed(Napi::Object exports) { define<distributedBackends>(exports, "distributedBackends"); }

}  // namespace torchjs

#endif  // TORCHJS_C10D
