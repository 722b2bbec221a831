// Tensors from and to JavaScript memory, and what is known of them.
#pragma once

#include <napi.h>

namespace torchjs {

void exportTensor(Napi::Object exports);

}  // namespace torchjs
