// Reverse-mode differentiation.
#pragma once

#include <napi.h>

namespace torchjs {

void exportAutograd(Napi::Env env, Napi::Object exports);

}  // namespace torchjs
