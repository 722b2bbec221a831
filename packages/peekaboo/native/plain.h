// Which tensors our kernels read by their address.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace peekaboo {

// Whether a tensor's elements lie on the CPU, one after the other, as `type`.
inline bool isPlain(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.device().is_cpu() && tensor.scalar_type() == type && tensor.is_contiguous();
}

}  // namespace peekaboo
