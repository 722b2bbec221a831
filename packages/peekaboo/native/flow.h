// What synaptic flow does to whole tensors between two passes (docs/algorithm.md §2), each in one pass over memory. A
// reference is made of ATen operations: for every device, dtype and layout.
#pragma once

#include <ATen/core/Tensor.h>

namespace peekaboo {

// gradient <- |gradient * weight|
void scoreMagnitude_(at::Tensor& gradient, const at::Tensor& weight);
void scoreMagnitudeReference_(at::Tensor& gradient, const at::Tensor& weight);

// weight <- weight where mask is 1, zero where it is 0
void zeroCut_(at::Tensor& weight, const at::Tensor& mask);
void zeroCutReference_(at::Tensor& weight, const at::Tensor& mask);

// weight <- weight where |gradient * weight| is above the threshold, zero elsewhere: what scoreMagnitude_, keepAbove
// and zeroCut_ do one after the other, without scores or a mask
void zeroBelow_(at::Tensor& weight, const at::Tensor& gradient, double threshold);
void zeroBelowReference_(at::Tensor& weight, const at::Tensor& gradient, double threshold);

}  // namespace peekaboo
