// What belongs to one JavaScript thread: its tensors and their storages, its operators, the buffers it lent.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "operator.h"

namespace torchjs {

// JavaScript buffers lent to tensors. A tensor may die on any thread, a reference only on its own: the deleter queues
// it here, and the thread's next call drops it. Shared, because a tensor may outlive the thread whose buffer it was
// lent.
struct LentBuffers {
  std::mutex mutex;
  std::vector<napi_ref> returned;
};

// A storage that handles keep alive. Its bytes are told to V8 once, however many handles (views) share it, when the
// first of them is left to the garbage collector.
struct HeldStorage {
  int64_t handles = 0;
  int64_t bytes = 0;
  bool isTold = false;
};

class Distributed;

struct Environment {
  // The live tensors by their handles' numbers, which are odd. They start somewhere else in each Environment, so that a
  // second copy of this addon in the process does not take this one's handles for its own.
  std::unordered_map<uintptr_t, at::Tensor> tensors;
  const uintptr_t firstHandle = (reinterpret_cast<uintptr_t>(this) / 16 % 0x7FFF << 32) + 1;
  uintptr_t nextHandle = firstHandle;
  std::unordered_map<const void*, HeldStorage> storages;
  std::shared_ptr<LentBuffers> lent = std::make_shared<LentBuffers>();
  std::deque<Operator> operators;
  std::unordered_map<std::string, size_t> operatorIndex;
  // What it has of c10d, once it has any.
  std::shared_ptr<Distributed> distributed;
};

void createEnvironment(Napi::Env env);
Environment& environmentOf(Napi::Env env);

// Lets go of the buffers that tensors have given back.
void dropReturnedBuffers(Napi::Env env);

}  // namespace torchjs
