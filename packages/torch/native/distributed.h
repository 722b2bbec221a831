// c10d for JavaScript: stores, process groups, collectives, gradients. Without c10d's headers only
// distributedBackends() is exported, which gives none.
#pragma once

#include <napi.h>

namespace torchjs {

void exportDistributed(Napi::Object exports);

}  // namespace torchjs
