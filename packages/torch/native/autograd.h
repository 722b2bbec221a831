// Reverse-mode differentiation.
#pragma once

#include <napi.h>

namespace torchjs {

void exportAutograd(Napi::Object exports);

}  // namespace torchjs
