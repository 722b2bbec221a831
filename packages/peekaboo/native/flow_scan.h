// The scores of synaptic flow (docs/algorithm.md §2), found layer by layer while a weight gradient is made, and written
// down only where they are small: float64 on the CPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <tuple>

namespace peekaboo {

// The scores |∂R/∂w · w| up to `bound` of the weights that aren't zero, and those weights' positions (int32); how many
// weights are zero; whether a score is NaN. ∂R/∂w is that of y = x ∗ w, x the `input`, for y's `gradient`. Only each
// `every`-th output of the layer is looked at.
std::tuple<at::Tensor, at::Tensor, int64_t, bool> flowScan(const at::Tensor& gradient, const at::Tensor& input,
                                                           const at::Tensor& weight, at::IntArrayRef stride,
                                                           at::IntArrayRef padding, at::IntArrayRef dilation,
                                                           double bound, int64_t every);

// Sets the weights to zero that flowScan has found with scores up to the threshold; how many of those found are above
// it, and how many equal it.
std::tuple<int64_t, int64_t> zeroFound_(at::Tensor& weight, const at::Tensor& scores, const at::Tensor& positions,
                                        double threshold);

}  // namespace peekaboo
