// Stores of c10d for JavaScript.
#ifdef TORCHJS_C10D

#include <cstddef>
#include <exception>
#include <future>

#include "distributed_calls.h"
#include "store_protocol.h"

namespace torchjs {
namespace {

// storeOpen(hosts, port, serve, timeoutMs, token, foreign): the number of a store that may be closed before the promise
// is kept, and the promise.
Napi::Value storeOpen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StoreAddress address;
  address.hosts = toTexts(info[0], "hosts");
  address.port = static_cast<uint16_t>(toInteger(info[1], {"port"}, 0, 65535));
  const bool serve = toBoolean(info[2], {"serve"});
  address.timeout = toTimeout(info[3]);
  address.token = toText(info[4], {"token"});
  if (address.token.size() != kTokenBytes) refuse({"token"}, "a text of 64 bytes", info[4]);
  address.foreign = toBoolean(info[5], {"foreign"});
  auto client = std::make_shared<StoreClient>(address);
  Distributed& distributed = Distributed::of(env);
  const int64_t number = distributed.add(distributed.stores, client);
  const auto open = [serve](OpenedStore& opened, const std::atomic<bool>&) {
    opened.open(serve);
    const double port = opened.address.port;
    return [port](Napi::Env later) { return Napi::Number::New(later, port); };
  };
  auto both = Napi::Array::New(env, 2);
  both.Set(0u, Napi::Number::New(env, static_cast<double>(number)));
  both.Set(1u, ask(env, *client, "open the store", open));
  return both;
}

// storeSet(store, key, value)
Napi::Value storeSet(const Napi::CallbackInfo& info) {
  const std::string value = toText(info[2], {"value"});
  return ask(info.Env(), *storeAt(info.Env(), info[0]), "store set",
             [key = toText(info[1], {"key"}), value](OpenedStore& opened, const std::atomic<bool>&) {
               opened.store->set(key, std::vector<uint8_t>(value.begin(), value.end()));
               return [](Napi::Env env) { return env.Undefined(); };
             });
}

// storeGet(store, key): null where there is none.
Napi::Value storeGet(const Napi::CallbackInfo& info) {
  return ask(info.Env(), *storeAt(info.Env(), info[0]), "store get",
             [key = toText(info[1], {"key"})](OpenedStore& opened, const std::atomic<bool>&) -> Completions::Result {
               if (!opened.store->check({key})) return [](Napi::Env env) { return env.Null(); };
               const auto bytes = opened.store->get(key);
               const std::string text(bytes.begin(), bytes.end());
               return [text](Napi::Env env) { return Napi::String::New(env, text); };
             });
}

// storeAdd(store, key, amount): the sum.
Napi::Value storeAdd(const Napi::CallbackInfo& info) {
  const int64_t amount = toInteger(info[2], {"amount"});
  return ask(info.Env(), *storeAt(info.Env(), info[0]), "store add",
             [key = toText(info[1], {"key"}), amount](OpenedStore& opened, const std::atomic<bool>&) {
               const int64_t sum = opened.store->add(key, amount);
               return [sum](Napi::Env env) { return fromInteger(env, sum); };
             });
}

// storeDelete(store, key): whether it was there.
Napi::Value storeDelete(const Napi::CallbackInfo& info) {
  return ask(info.Env(), *storeAt(info.Env(), info[0]), "store delete",
             [key = toText(info[1], {"key"})](OpenedStore& opened, const std::atomic<bool>&) {
               const bool was = opened.store->deleteKey(key);
               return [was](Napi::Env env) { return Napi::Boolean::New(env, was); };
             });
}

// storeAwait(store, keys, stopKey, timeoutMs): the places of the keys that are missing when it ends.
Napi::Value storeAwait(const Napi::CallbackInfo& info) {
  const std::string stopKey = toText(info[2], {"stopKey"});
  const auto timeout = toTimeout(info[3]);
  return ask(
      info.Env(), *storeAt(info.Env(), info[0]), "store wait",
      [keys = toTexts(info[1], "keys"), stopKey, timeout](OpenedStore& opened, const std::atomic<bool>& closing) {
        const auto missing = awaitKeys(*opened.store, keys, stopKey, timeout, closing);
        return [missing](Napi::Env env) { return fromNumbers(env, missing); };
      });
}

// storeAwaitNow(store, keys, timeoutMs): the same for a caller that can't wait for a promise; null when the store does
// not answer.
Napi::Value storeAwaitNow(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto client = storeAt(info.Env(), info[0]);
  const auto timeout = toTimeout(info[2]);
  const auto answer = std::make_shared<std::promise<std::vector<size_t>>>();
  auto future = answer->get_future();
  client->lane.run(
      [answer, opened = client->opened, keys = toTexts(info[1], "keys"), timeout](const std::atomic<bool>& closing) {
        try {
          answer->set_value(awaitKeys(*opened->store, keys, "", timeout, closing));
        } catch (...) {
          answer->set_exception(std::current_exception());
        }
      });
  try {
    if (future.wait_for(timeout + std::chrono::milliseconds(500)) == std::future_status::ready) {
      return fromNumbers(env, future.get());
    }
  } catch (const std::exception&) {
    return env.Null();
  }
  return env.Null();
}

// A request may hang in a network that is dead; it must not keep the process running.
Napi::Value storeClose(const Napi::CallbackInfo& info) {
  Distributed& distributed = Distributed::of(info.Env());
  const auto found = distributed.stores.find(toInteger(info[0], {"store"}));
  if (found == distributed.stores.end()) return info.Env().Undefined();
  // First, or what its end makes of them would come before.
  distributed.completions->abandon(found->second.get(),
                                   [](Napi::Env) -> Napi::Value { throw DistributedFailure("the store was closed"); });
  distributed.stores.erase(found);
  return info.Env().Undefined();
}

}  // namespace

void exportStores(Napi::Object exports) {
  define<storeOpen>(exports, "storeOpen");
  define<storeSet>(exports, "storeSet");
  define<storeGet>(exports, "storeGet");
  define<storeAdd>(exports, "storeAdd");
  define<storeDelete>(exports, "storeDelete");
  define<storeAwait>(exports, "storeAwait");
  define<storeAwaitNow>(exports, "storeAwaitNow");
  define<storeClose>(exports, "storeClose");
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
