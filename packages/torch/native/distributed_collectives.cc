// Collectives of c10d for JavaScript.
#ifdef TORCHJS_C10D

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "denormals.h"
#include "distributed_calls.h"
#include "handle.h"

namespace torchjs {
namespace {

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
  const auto group = groupAt(info.Env(), info[0]);
  const at::Tensor tensor = tensorFor(*group, info[1]);
  const std::string op = toText(info[2], {"op"});
  const bool average = op == "avg";
  if (average && !tensor.is_floating_point()) {
    refuse({"tensor"}, "a tensor of floating-point numbers to average", info[1]);
  }
  if (!average && op != "sum" && op != "max" && op != "min") refuse({"op"}, R"("sum", "avg", "max" or "min")", info[2]);
  const auto reduce = op == "max" ? c10d::ReduceOp::MAX : op == "min" ? c10d::ReduceOp::MIN : c10d::ReduceOp::SUM;
  const auto finish = [tensor, average, size = group->size] {
    if (average) tensor.detach().div_(size);
  };
  return launched(info.Env(), "allReduce", group, group->allReduce(tensor, reduce), finish);
}

// broadcast(group, tensor, root): in place.
Napi::Value broadcast(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info.Env(), info[0]);
  const at::Tensor tensor = tensorFor(*group, info[1]);
  const int root = static_cast<int>(toInteger(info[2], {"root"}, 0, group->size - 1));
  return launched(info.Env(), "broadcast", group, group->broadcast(tensor, root), [] {});
}

// allGather(group, tensor): [number, promise, handles], a tensor a rank.
Napi::Value allGather(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto group = groupAt(info.Env(), info[0]);
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
  const auto group = groupAt(info.Env(), info[0]);
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

}  // namespace

void exportCollectives(Napi::Object exports) {
  define<allReduce>(exports, "allReduce");
  define<broadcast>(exports, "broadcast");
  define<allGather>(exports, "allGather");
  define<barrier>(exports, "barrier");
  define<collectiveWait>(exports, "collectiveWait");
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
