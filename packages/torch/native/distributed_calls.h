// What the parts of c10d's calls share. Each part exports its own.
#pragma once

#include <napi.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed_state.h"

namespace torchjs {

void exportStores(Napi::Object exports);
void exportGroups(Napi::Object exports);
void exportCollectives(Napi::Object exports);
void exportReducers(Napi::Object exports);

// The store or group of that number.
std::shared_ptr<StoreClient> storeAt(Napi::Env env, const Napi::Value& number);
std::shared_ptr<Group> groupAt(Napi::Env env, const Napi::Value& number);

// Runs `request` on the store's lane; gives the promise of what it returns a function for.
Napi::Value ask(Napi::Env env, StoreClient& client, const char* operation,
                std::function<Completions::Result(OpenedStore& opened, const std::atomic<bool>& closing)> request);

std::chrono::milliseconds toTimeout(const Napi::Value& value);

std::vector<std::string> toTexts(const Napi::Value& value, const char* name);

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

}  // namespace torchjs
