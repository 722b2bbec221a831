// What one JavaScript thread has of c10d, by the numbers that JavaScript knows it by, and its orderly end.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "completions.h"
#include "errors.h"
#include "process_group.h"
#include "reducer.h"
#include "store.h"
#include "values.h"

namespace torchjs {

// A collective under way, or waited for and not yet told of by its promise.
struct Collective {
  const char* operation;
  WorkPointer work;
  std::shared_ptr<Group> group;
  // What is left to do on this thread.
  std::function<void()> finish;
  bool over = false;
  std::optional<DistributedFailure> failure;
};

class Distributed {
 public:
  // This thread's, made at the first call. It ends with the thread, or with the process where that ends first, as it
  // does with process.exit(): no thread of c10d's may run on while the process's statics are taken down.
  static Distributed& of(Napi::Env env);

  explicit Distributed(Napi::Env env);
  ~Distributed();
  Distributed(const Distributed&) = delete;
  Distributed& operator=(const Distributed&) = delete;

  void close();

  template <typename Item>
  using Table = std::unordered_map<int64_t, std::shared_ptr<Item>>;

  template <typename Item>
  int64_t add(Table<Item>& table, std::shared_ptr<Item> item) {
    table.emplace(next_, std::move(item));
    return next_++;
  }

  std::shared_ptr<Completions> completions;
  Table<StoreClient> stores;
  Table<Group> groups;
  Table<GradientReducer> reducers;
  std::unordered_map<uint64_t, Collective> collectives;

 private:
  int64_t next_ = 1;
};

// The item of that number; throws ArgumentError.
template <typename Item>
std::shared_ptr<Item> itemAt(const Distributed::Table<Item>& table, const Napi::Value& number, const char* what) {
  const auto found = table.find(toInteger(number, {what}));
  if (found == table.end()) refuse({what}, "one that was not destroyed", number);
  return found->second;
}

}  // namespace torchjs
