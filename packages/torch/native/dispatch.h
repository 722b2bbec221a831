// Generic boxed calls through the c10 dispatcher.
#pragma once

#include <napi.h>

namespace torchjs {

void exportDispatch(Napi::Object exports);

}  // namespace torchjs
