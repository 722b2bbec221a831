// The process's libtorch: version, threads, devices, seeds, extra operator libraries.
#pragma once

#include <napi.h>

namespace torchjs {

void exportRuntime(Napi::Object exports);

}  // namespace torchjs
