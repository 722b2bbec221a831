#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace peekaboo {

/// The index of the first tensor that holds a NaN or an infinity; -1 when none does.
int64_t first_nonfinite(at::TensorList tensors);

}  // namespace peekaboo
