#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace peekaboo {

// Which tensors hold neither NaN nor infinity: bool [n], on the first one's device.
at::Tensor allFinite(at::TensorList tensors);

// The same composed of ATen operations: any device, without waiting for it.
at::Tensor allFiniteReference(at::TensorList tensors);

}  // namespace peekaboo
