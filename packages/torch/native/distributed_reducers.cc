// The averaging of gradients for JavaScript.
#ifdef TORCHJS_C10D

#include <ATen/ATen.h>

#include <utility>

#include "distributed_calls.h"
#include "handle.h"

namespace torchjs {
namespace {

std::shared_ptr<GradientReducer> reducerAt(const Napi::CallbackInfo& info) {
  return itemAt(Distributed::of(info.Env()).reducers, info[0], "reducer");
}

// reducerCreate(group, parameters, bucketBytes)
Napi::Value reducerCreate(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info.Env(), info[0]);
  const Napi::Array array = toArray(info[1], {"parameters"});
  std::vector<at::Tensor> parameters;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Place place{"parameters", nullptr, i};
    parameters.push_back(toTensor(array.Get(i), place));
    const at::Tensor& parameter = parameters.back();
    if (!parameter.is_leaf() || !parameter.requires_grad()) {
      refuse(place, "a leaf that requires a gradient", array.Get(i));
    }
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

}  // namespace

void exportReducers(Napi::Object exports) {
  define<reducerCreate>(exports, "reducerCreate");
  define<reducerPrepare>(exports, "reducerPrepare");
  define<reducerFinish>(exports, "reducerFinish");
  define<reducerBuckets>(exports, "reducerBuckets");
  define<reducerStartedEarly>(exports, "reducerStartedEarly");
  define<reducerDispose>(exports, "reducerDispose");
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
