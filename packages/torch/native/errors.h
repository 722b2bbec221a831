// Turns every C++ throw into a JavaScript error that carries the operation and, where known, the argument.
#pragma once

#include <c10/util/Exception.h>
#include <napi.h>

#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace torchjs {

// A wrong argument, found while reading it.
struct ArgumentError : std::exception {
  ArgumentError(std::string argumentName, std::string text)
      : argument(std::move(argumentName)), message(std::move(text)) {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string argument;
  std::string message;
};

// Processes that can't work together any more, with the ranks at fault where they are known.
struct DistributedFailure : std::exception {
  explicit DistributedFailure(std::string text, std::vector<int> atFault = {})
      : message(std::move(text)), ranks(std::move(atFault)) {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string message;
  std::vector<int> ranks;
};

// A JavaScript Error with the fields that TypeScript makes a TorchError of.
Napi::Error makeError(Napi::Env env, const char* kind, const std::string& operation, const std::string& argument,
                      const std::string& message);

// The same of kind "distributed", with the field `ranks`.
Napi::Error makeError(Napi::Env env, const std::string& operation, const DistributedFailure& failure);

// libtorch's message on one line: without source places, backtraces and lists of registered kernels.
std::string oneSentence(std::string text);

// "memory" when the text is an allocator's refusal, else "torch".
const char* kindOf(const std::string& text);

// Runs `body`; C++ exceptions leave as JavaScript errors. `operation` names what was being done, `detail()` gives what
// is worth adding to libtorch's own message.
template <typename Body, typename Detail>
auto guarded(Napi::Env env, const std::string& operation, Body body, Detail detail) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const ArgumentError& error) {
    throw makeError(env, "argument", operation, error.argument, error.message);
  } catch (const DistributedFailure& failure) {
    throw makeError(env, operation, failure);
  } catch (const c10::Error& error) {
    const std::string text = oneSentence(error.what_without_backtrace());
    throw makeError(env, kindOf(text), operation, "", text + detail());
  } catch (const std::bad_alloc&) {
    throw makeError(env, "memory", operation, "", "out of memory" + detail());
  } catch (const std::exception& error) {
    throw makeError(env, "torch", operation, "", oneSentence(error.what()) + detail());
  } catch (...) {
    throw makeError(env, "torch", operation, "", "a C++ exception of an unknown type" + detail());
  }
}

template <typename Body>
auto guarded(Napi::Env env, const std::string& operation, Body body) -> decltype(body()) {
  return guarded(env, operation, body, [] { return std::string(); });
}

template <Napi::Value (*body)(const Napi::CallbackInfo&)>
Napi::Value guardedCallback(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), static_cast<const char*>(info.Data()), [&] { return body(info); });
}

// Exports a function, guarded: the one way to add one, so that no C++ exception can reach Node. `name` is a literal.
template <Napi::Value (*body)(const Napi::CallbackInfo&)>
void define(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<guardedCallback<body>>(exports.Env(), name, const_cast<char*>(name)));
}

}  // namespace torchjs
