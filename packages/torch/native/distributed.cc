#include "distributed.h"

#include "errors.h"

#ifdef TORCHJS_C10D

#include <ATen/ATen.h>

#include <cstddef>
#include <future>

#include "denormals.h"
#include "distributed_state.h"
#include "handle.h"
#include "store_protocol.h"

namespace torchjs {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr int64_t kLongest = 7LL * 24 * 3600 * 1000;

Milliseconds toTimeout(const Napi::Value& value) { return Milliseconds(toInteger(value, {"timeoutMs"}, 1, kLongest)); }

std::vector<std::string> toTexts(const Napi::Value& value, const char* name) {
  const Napi::Array array = toArray(value, {name});
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); i++) texts.push_back(toText(array.Get(i), {name, nullptr, i}));
  return texts;
}

template <typename Numbers>
Napi::Array fromNumbers(Napi::Env env, const Numbers& numbers) {
  auto array = Napi::Array::New(env, numbers.size());
  for (uint32_t i = 0; i < numbers.size(); i++) array.Set(i, Napi::Number::New(env, static_cast<double>(numbers[i])));
  return array;
}

template <typename Texts>
Napi::Array fromTexts(Napi::Env env, const Texts& texts) {
  auto array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); i++) array.Set(i, Napi::String::New(env, texts[i]));
  return array;
}

// ---- Stores ---------------------------------------------------------------------------------------------------------

using Result = Completions::Result;

// A promise that is broken if its request is dropped.
struct Asked {
  Asked(std::shared_ptr<Completions> all, uint64_t promise) : completions(std::move(all)), number(promise) {}
  ~Asked() {
    if (!answered) fail("the store was closed");
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  void answer(Result result) {
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

// Runs `request` on the store's lane; gives the promise of what it returns a function for.
Napi::Value ask(Napi::Env env, StoreClient& client, const char* operation,
                std::function<Result(OpenedStore& opened, const std::atomic<bool>& closing)> request) {
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

std::shared_ptr<StoreClient> storeAt(const Napi::CallbackInfo& info) {
  return itemAt(Distributed::of(info.Env()).stores, info[0], "store");
}

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
  return ask(info.Env(), *storeAt(info), "store set",
             [key = toText(info[1], {"key"}), value](OpenedStore& opened, const std::atomic<bool>&) {
               opened.store->set(key, std::vector<uint8_t>(value.begin(), value.end()));
               return [](Napi::Env env) { return env.Undefined(); };
             });
}

// storeGet(store, key): null where there is none.
Napi::Value storeGet(const Napi::CallbackInfo& info) {
  return ask(info.Env(), *storeAt(info), "store get",
             [key = toText(info[1], {"key"})](OpenedStore& opened, const std::atomic<bool>&) -> Result {
               if (!opened.store->check({key})) return [](Napi::Env env) { return env.Null(); };
               const auto bytes = opened.store->get(key);
               const std::string text(bytes.begin(), bytes.end());
               return [text](Napi::Env env) { return Napi::String::New(env, text); };
             });
}

// storeAdd(store, key, amount): the sum.
Napi::Value storeAdd(const Napi::CallbackInfo& info) {
  const int64_t amount = toInteger(info[2], {"amount"});
  return ask(info.Env(), *storeAt(info), "store add",
             [key = toText(info[1], {"key"}), amount](OpenedStore& opened, const std::atomic<bool>&) {
               const int64_t sum = opened.store->add(key, amount);
               return [sum](Napi::Env env) { return fromInteger(env, sum); };
             });
}

// storeDelete(store, key): whether it was there.
Napi::Value storeDelete(const Napi::CallbackInfo& info) {
  return ask(info.Env(), *storeAt(info), "store delete",
             [key = toText(info[1], {"key"})](OpenedStore& opened, const std::atomic<bool>&) {
               const bool was = opened.store->deleteKey(key);
               return [was](Napi::Env env) { return Napi::Boolean::New(env, was); };
             });
}

// storeAwait(store, keys, stopKey, timeoutMs): the places of the keys that are missing when it ends.
Napi::Value storeAwait(const Napi::CallbackInfo& info) {
  const std::string stopKey = toText(info[2], {"stopKey"});
  const Milliseconds timeout = toTimeout(info[3]);
  return ask(
      info.Env(), *storeAt(info), "store wait",
      [keys = toTexts(info[1], "keys"), stopKey, timeout](OpenedStore& opened, const std::atomic<bool>& closing) {
        const auto missing = awaitKeys(*opened.store, keys, stopKey, timeout, closing);
        return [missing](Napi::Env env) { return fromNumbers(env, missing); };
      });
}

// storeAwaitNow(store, keys, timeoutMs): the same for a caller that can't wait for a promise; null when the store does
// not answer.
Napi::Value storeAwaitNow(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto client = storeAt(info);
  const Milliseconds timeout = toTimeout(info[2]);
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
    if (future.wait_for(timeout + Milliseconds(500)) == std::future_status::ready) {
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

// ---- Process groups -------------------------------------------------------------------------------------------------

std::shared_ptr<Group> groupAt(const Napi::CallbackInfo& info) {
  return itemAt(Distributed::of(info.Env()).groups, info[0], "group");
}

// groupCreate(store, backend, rank, size, timeoutMs, name, interface, hostname): a promise of the group's number.
Napi::Value groupCreate(const Napi::CallbackInfo& info) {
  const auto client = storeAt(info);
  GroupOptions options;
  options.backend = toText(info[1], {"backend"});
  options.size = static_cast<int>(toInteger(info[3], {"size"}, 1, 1 << 20));
  options.rank = static_cast<int>(toInteger(info[2], {"rank"}, 0, options.size - 1));
  options.timeout = toTimeout(info[4]);
  options.name = toText(info[5], {"name"});
  options.interface = toText(info[6], {"interface"});
  options.hostname = toText(info[7], {"hostname"});
  return ask(info.Env(), *client, "create the process group", [options](OpenedStore& opened, const std::atomic<bool>&) {
    const auto group = Group::create(opened.address, options);
    return [group](Napi::Env env) {
      Distributed& distributed = Distributed::of(env);
      return Napi::Number::New(env, static_cast<double>(distributed.add(distributed.groups, group)));
    };
  });
}

// groupAddresses(group, rank): this process's ends of its connections to that rank.
Napi::Value groupAddresses(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  const int rank = static_cast<int>(toInteger(info[1], {"rank"}, 0, group->size - 1));
  return fromTexts(info.Env(), group->ownAddresses(rank));
}

// groupLearn(group, rank, addresses): what that rank says of its ends of its connections to this one.
Napi::Value groupLearn(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  const int rank = static_cast<int>(toInteger(info[1], {"rank"}, 0, group->size - 1));
  for (const std::string& address : toTexts(info[2], "addresses")) group->learnAddress(rank, address);
  return info.Env().Undefined();
}

Napi::Value groupClose(const Napi::CallbackInfo& info) {
  Distributed& distributed = Distributed::of(info.Env());
  const auto found = distributed.groups.find(toInteger(info[0], {"group"}));
  if (found == distributed.groups.end()) return info.Env().Undefined();
  found->second->close();
  distributed.groups.erase(found);
  return info.Env().Undefined();
}

// ---- Collectives ----------------------------------------------------------------------------------------------------

// Ends a collective on its thread, whoever learns of it first: the one who waits, or the promise.
void conclude(Collective& collective, const std::function<void()>& outcome) {
  if (!collective.over) {
    collective.over = true;
    try {
      outcome();
      const FlushDenormals flush;
      collective.finish();
    } catch (const DistributedFailure& failure) {
      collective.failure = failure;
    }
    collective.work.reset();
    collective.group.reset();
    collective.finish = nullptr;
  }
  if (collective.failure.has_value()) throw DistributedFailure(*collective.failure);
}

void keepPromise(Napi::Env env, uint64_t number, const std::optional<std::string>& error) {
  auto& collectives = Distributed::of(env).collectives;
  const auto found = collectives.find(number);
  if (found == collectives.end()) return;
  Collective& collective = found->second;
  conclude(collective, [&] {
    if (error.has_value()) throw collective.group->failure(*error);
    // On CUDA: what this thread does next waits for it there.
    collective.work->synchronize();
  });
  // A failed one stays: somebody may wait for it before its promise settles.
  collectives.erase(found);
}

// [number for collectiveWait(), promise]
Napi::Array launched(Napi::Env env, const char* operation, const std::shared_ptr<Group>& group, WorkPointer work,
                     std::function<void()> finish) {
  Distributed& distributed = Distributed::of(env);
  uint64_t number = 0;
  auto both = Napi::Array::New(env, 2);
  both.Set(1u, distributed.completions->open(env, operation, &number));
  both.Set(0u, Napi::Number::New(env, static_cast<double>(number)));
  const auto future = work->getFuture();
  distributed.collectives.emplace(
      number, Collective{operation, std::move(work), group, std::move(finish), false, std::nullopt});
  future->addCallback([completions = distributed.completions, number](c10::ivalue::Future& done) {
    std::optional<std::string> error;
    if (done.hasError()) error = done.tryRetrieveErrorMessage();
    completions->settle(number, [number, error](Napi::Env later) {
      keepPromise(later, number, error);
      return later.Undefined();
    });
  });
  return both;
}

at::Tensor tensorFor(const Group& group, const Napi::Value& value) {
  at::Tensor tensor = toTensor(value, {"tensor"});
  const std::string expected = group.refusal(tensor);
  if (!expected.empty()) refuse({"tensor"}, expected, value);
  return tensor;
}

// allReduce(group, tensor, "sum" | "avg" | "max" | "min"): in place.
Napi::Value allReduce(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  const at::Tensor tensor = tensorFor(*group, info[1]);
  const std::string op = toText(info[2], {"op"});
  const bool average = op == "avg";
  if (average && !tensor.is_floating_point())
    refuse({"tensor"}, "a tensor of floating-point numbers to average", info[1]);
  if (!average && op != "sum" && op != "max" && op != "min") refuse({"op"}, R"("sum", "avg", "max" or "min")", info[2]);
  const auto reduce = op == "max" ? c10d::ReduceOp::MAX : op == "min" ? c10d::ReduceOp::MIN : c10d::ReduceOp::SUM;
  const auto finish = [tensor, average, size = group->size] {
    if (average) tensor.detach().div_(size);
  };
  return launched(info.Env(), "allReduce", group, group->allReduce(tensor, reduce), finish);
}

// broadcast(group, tensor, root): in place.
Napi::Value broadcast(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  const at::Tensor tensor = tensorFor(*group, info[1]);
  const int root = static_cast<int>(toInteger(info[2], {"root"}, 0, group->size - 1));
  return launched(info.Env(), "broadcast", group, group->broadcast(tensor, root), [] {});
}

// allGather(group, tensor): [number, promise, handles], a tensor a rank.
Napi::Value allGather(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto group = groupAt(info);
  const at::Tensor tensor = tensorFor(*group, info[1]);
  std::vector<at::Tensor> outputs;
  for (int i = 0; i < group->size; i++) outputs.push_back(at::empty_like(tensor.detach()));
  Napi::Array all = launched(env, "allGather", group, group->allGather(outputs, tensor), [] {});
  auto handles = Napi::Array::New(env, outputs.size());
  for (uint32_t i = 0; i < outputs.size(); i++) handles.Set(i, wrapTensor(env, outputs[i]));
  all.Set(2u, handles);
  return all;
}

Napi::Value barrier(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  return launched(info.Env(), "barrier", group, group->barrier(), [] {});
}

// collectiveWait(number): blocks. What is over is left to its promise to tell.
Napi::Value collectiveWait(const Napi::CallbackInfo& info) {
  auto& collectives = Distributed::of(info.Env()).collectives;
  const auto found = collectives.find(static_cast<uint64_t>(toInteger(info[0], {"collective"}, 0, INT64_MAX)));
  if (found == collectives.end()) return info.Env().Undefined();
  Collective& collective = found->second;
  return guarded(info.Env(), collective.operation, [&] {
    conclude(collective, [&] { collective.group->wait(collective.work); });
    return info.Env().Undefined();
  });
}

// ---- Gradients ------------------------------------------------------------------------------------------------------

std::shared_ptr<GradientReducer> reducerAt(const Napi::CallbackInfo& info) {
  return itemAt(Distributed::of(info.Env()).reducers, info[0], "reducer");
}

// reducerCreate(group, parameters, bucketBytes)
Napi::Value reducerCreate(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info);
  const Napi::Array array = toArray(info[1], {"parameters"});
  std::vector<at::Tensor> parameters;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Place place{"parameters", nullptr, i};
    parameters.push_back(toTensor(array.Get(i), place));
    const at::Tensor& parameter = parameters.back();
    if (!parameter.is_leaf() || !parameter.requires_grad())
      refuse(place, "a leaf that requires a gradient", array.Get(i));
    // Its layout is its own affair: buckets are contiguous.
    const std::string expected = group->refusal(at::empty({0}, parameter.detach().options()));
    if (!expected.empty()) refuse(place, expected, array.Get(i));
  }
  const int64_t bytes = toInteger(info[2], {"bucketBytes"}, 1, INT64_MAX);
  auto reducer = std::make_shared<GradientReducer>(group, std::move(parameters), bytes);
  reducer->attach();
  Distributed& distributed = Distributed::of(info.Env());
  return Napi::Number::New(info.Env(), static_cast<double>(distributed.add(distributed.reducers, reducer)));
}

Napi::Value reducerPrepare(const Napi::CallbackInfo& info) {
  reducerAt(info)->prepare();
  return info.Env().Undefined();
}

Napi::Value reducerFinish(const Napi::CallbackInfo& info) {
  reducerAt(info)->finish();
  return info.Env().Undefined();
}

Napi::Value reducerBuckets(const Napi::CallbackInfo& info) {
  const auto buckets = reducerAt(info)->buckets();
  auto array = Napi::Array::New(info.Env(), buckets.size());
  for (uint32_t i = 0; i < buckets.size(); i++) array.Set(i, fromNumbers(info.Env(), buckets[i]));
  return array;
}

Napi::Value reducerStartedEarly(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(reducerAt(info)->startedEarly()));
}

Napi::Value reducerDispose(const Napi::CallbackInfo& info) {
  auto& reducers = Distributed::of(info.Env()).reducers;
  const auto found = reducers.find(toInteger(info[0], {"reducer"}));
  if (found == reducers.end()) return info.Env().Undefined();
  found->second->dispose();
  reducers.erase(found);
  return info.Env().Undefined();
}

Napi::Value distributedBackends(const Napi::CallbackInfo& info) { return fromTexts(info.Env(), Group::backends()); }

}  // namespace

void exportDistributed(Napi::Object exports) {
  define<distributedBackends>(exports, "distributedBackends");
  define<storeOpen>(exports, "storeOpen");
  define<storeSet>(exports, "storeSet");
  define<storeGet>(exports, "storeGet");
  define<storeAdd>(exports, "storeAdd");
  define<storeDelete>(exports, "storeDelete");
  define<storeAwait>(exports, "storeAwait");
  define<storeAwaitNow>(exports, "storeAwaitNow");
  define<storeClose>(exports, "storeClose");
  define<groupCreate>(exports, "groupCreate");
  define<groupAddresses>(exports, "groupAddresses");
  define<groupLearn>(exports, "groupLearn");
  define<groupClose>(exports, "groupClose");
  define<allReduce>(exports, "allReduce");
  define<broadcast>(exports, "broadcast");
  define<allGather>(exports, "allGather");
  define<barrier>(exports, "barrier");
  define<collectiveWait>(exports, "collectiveWait");
  define<reducerCreate>(exports, "reducerCreate");
  define<reducerPrepare>(exports, "reducerPrepare");
  define<reducerFinish>(exports, "reducerFinish");
  define<reducerBuckets>(exports, "reducerBuckets");
  define<reducerStartedEarly>(exports, "reducerStartedEarly");
  define<reducerDispose>(exports, "reducerDispose");
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
