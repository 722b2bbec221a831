#include "errors.h"

#include <cctype>
#include <cstddef>
#include <cstdint>

namespace torchjs {

Napi::Error makeError(Napi::Env env, const char* kind, const std::string& operation, const std::string& argument,
                      const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("kind", Napi::String::New(env, kind));
  error.Set("operation", Napi::String::New(env, operation));
  if (!argument.empty()) error.Set("argument", Napi::String::New(env, argument));
  return error;
}

Napi::Error makeError(Napi::Env env, const std::string& operation, const DistributedFailure& failure) {
  Napi::Error error = makeError(env, "distributed", operation, "", failure.message);
  auto ranks = Napi::Array::New(env, failure.ranks.size());
  for (uint32_t i = 0; i < failure.ranks.size(); i++) ranks.Set(i, Napi::Number::New(env, failure.ranks[i]));
  error.Set("ranks", ranks);
  return error;
}

std::string oneSentence(std::string text) {
  for (const char* end : {"\nException raised from", "\n\n", " This could be because the operator doesn't exist"}) {
    const size_t found = text.find(end);
    if (found != std::string::npos && found > 0) text.resize(found);
  }
  const size_t allocator = text.find("DefaultCPUAllocator: ");
  if (allocator != std::string::npos) text.erase(0, allocator + 21);
  std::string line;
  for (const char character : text) {
    const bool space = std::isspace(static_cast<unsigned char>(character)) != 0;
    if (!space) {
      line += character;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '.')) line.pop_back();
  return line;
}

const char* kindOf(const std::string& text) {
  const bool memory = text.find("allocate memory") != std::string::npos ||
                      text.find("not enough memory") != std::string::npos ||
                      text.find("out of memory") != std::string::npos;
  return memory ? "memory" : "torch";
}

}  // namespace torchjs
