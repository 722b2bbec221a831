#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>
#include <c10/util/ArrayRef.h>

namespace peekaboo {

// A tensor of zeros on the CPU that takes address space alone, no memory: for operators that want one's shape and
// order. It can't be written to.
at::Tensor placeholder(at::IntArrayRef sizes, at::IntArrayRef strides, const at::TensorOptions& options);

}  // namespace peekaboo
