// Which weights a pruning round keeps (docs/algorithm.md §2). A reference is made of ATen operations: for every device
// and dtype.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace peekaboo {

// The k-th smallest (from 1) of all elements of `scores`; NaN if one is NaN.
double kthSmallest(at::TensorList scores, int64_t k);
double kthSmallestReference(at::TensorList scores, int64_t k);

// The k-th smallest (from 1) of all |gradient * weight|, which need not be written down for it; NaN if one is NaN.
double kthSaliency(at::TensorList gradients, at::TensorList weights, int64_t k);
double kthSaliencyReference(at::TensorList gradients, at::TensorList weights, int64_t k);

// The uint8 mask of the scores above `threshold`, how many these are, and how many equal it.
std::tuple<at::Tensor, int64_t, int64_t> keepAbove(const at::Tensor& score, double threshold);
std::tuple<at::Tensor, int64_t, int64_t> keepAboveReference(const at::Tensor& score, double threshold);

}  // namespace peekaboo
