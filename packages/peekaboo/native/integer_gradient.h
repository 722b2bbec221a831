#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

#include "psg_conv2d.h"

namespace peekaboo {

// The predicted weight gradient (docs/algorithm.md §4) computed in integers: of the sum Σ q·Δ in exact arithmetic the
// nearest float, but for one further rounding in double, whatever the processor and the number of threads. Where floats
// round each g̃ and x̃ and every partial sum, they differ from it. Nothing where that isn't possible (other dtypes and
// devices, groups, more than 8 bits of x or 16 of g, values that are not finite or all zero) or not faster.
c10::optional<at::Tensor> integerWeightGradient(const at::Tensor& grad, const at::Tensor& input,
                                                const at::Tensor& weight, const PsgOptions& options);

}  // namespace peekaboo
