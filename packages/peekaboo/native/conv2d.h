#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/Optional.h>

#include <cstdint>

namespace peekaboo {

// The ordinary convolution, differentiable any number of times; quick in float64 on the CPU, where pruning runs, and in
// float32 where `fast` allows another rounding (fast_conv2d.h). All else goes to ATen's.
at::Tensor conv2d(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                  at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, bool fast);

}  // namespace peekaboo
