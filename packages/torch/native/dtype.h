// Element types by the names that TypeScript knows them by.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

namespace torchjs {

// "float32", or what c10 calls it where TypeScript has no name for it.
std::string dtypeName(at::ScalarType dtype);

// The element type of that name; false when there is none.
bool dtypeOfName(const std::string& name, at::ScalarType* dtype);

}  // namespace torchjs
