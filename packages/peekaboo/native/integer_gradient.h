#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/Optional.h>

#include <cstdint>
#include <vector>

#include "psg_conv2d.h"

namespace peekaboo {

// A convolution's input, rounded to its levels and laid out for the product in integers: a quarter of its bytes (a half
// on processors without byte products).
struct PackedInput {
  at::Tensor bytes;
  float scale;  // s of its levels' range
  std::vector<int64_t> sizes, strides;
};

// Packs `input` for the weight gradient of a convolution whose output has `outputSizes`. Nothing where that isn't
// possible (other dtypes and devices, groups, more than 8 bits of x or 16 of g, values that are not finite or all zero)
// or not faster.
c10::optional<PackedInput> packInput(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef outputSizes,
                                     const PsgOptions& options);

// The predicted weight gradient (docs/algorithm.md §4) computed in integers: of the sum Σ q·Δ in exact arithmetic the
// nearest float, but for one further rounding in double, whatever the processor and the number of threads. Where floats
// round each g̃ and x̃ and every partial sum, they differ from it. Nothing where `grad` is not finite or all zero.
c10::optional<at::Tensor> integerWeightGradient(const at::Tensor& grad, const PackedInput& input,
                                                const at::Tensor& weight, const PsgOptions& options);

// x̃: bit for bit what `quantize` makes of the input that was packed, in the same memory order.
at::Tensor unpackedInput(const PackedInput& input, const at::Tensor& weight, at::IntArrayRef outputSizes,
                         const PsgOptions& options);

}  // namespace peekaboo
