// Turns every C++ throw into a JavaScript error that carries the operation and, where known, the argument.
#pragma once

#include <c10/util/Exception.h>
#include <napi.h>

#include <exception>
#include <new>
#include <string>

namespace torchjs {

// A wrong argument, found while converting it. `argument` is the schema's name for it.
struct ArgumentError : std::exception {
  ArgumentError(std::string argumentName, std::string text)
      : argument(std::move(argumentName)), message(std::move(text)) {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string argument;
  std::string message;
};

inline Napi::Error makeError(Napi::Env env, const char* kind, const std::string& operation, const std::string& argument,
                             const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("kind", Napi::String::New(env, kind));
  error.Set("operation", Napi::String::New(env, operation));
  if (!argument.empty()) error.Set("argument", Napi::String::New(env, argument));
  return error;
}

// Runs `body`; C++ exceptions leave as JavaScript errors. `operation` names what was being done.
template <typename Body>
auto guarded(Napi::Env env, const std::string& operation, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const ArgumentError& error) {
    throw makeError(env, "argument", operation, error.argument, error.message);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const bool memory =
        text.find("DefaultCPUAllocator") != std::string::npos || text.find("out of memory") != std::string::npos;
    throw makeError(env, memory ? "memory" : "torch", operation, "", text);
  } catch (const std::bad_alloc&) {
    throw makeError(env, "memory", operation, "", "out of memory");
  } catch (const std::exception& error) {
    throw makeError(env, "torch", operation, "", error.what());
  }
}

}  // namespace torchjs
