#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/string_view.h>

#include <cstdint>

namespace peekaboo {

// What a tensor holds decides the range of its quantisation (docs/algorithm.md §4): activations share the mean over
// the batch of each sample's largest magnitude, gradients the largest magnitude of all, and weights have one range per
// output channel.
enum class Role { kActivation, kWeight, kGradient };

// Number of bits from which on quantisation changes nothing.
constexpr int64_t kIdentityBits = 32;

// Rounds `input` to 2^bits levels between -s (0 if not signed) and s, its role's range; exact zeros stay zero.
// Returns `input` itself for 32 bits and more. A row whose step (hi-lo)/2^bits is zero (all of it is zero, or too
// small to divide) stays as it is; NaN or infinite values give NaN wherever the range covers them.
at::Tensor quantize(const at::Tensor& input, Role role, int64_t bits, bool isSigned);

// The same composed of ATen operations: any device, floating dtype and layout.
at::Tensor quantizeReference(const at::Tensor& input, Role role, int64_t bits, bool isSigned);

// The range's end s of activations or gradients that are rows dense in memory (parallel.h), of which there are some.
float scaleOf(const at::Tensor& input, Role role);

// Parses "activation", "weight" or "gradient".
Role parseRole(c10::string_view name);

}  // namespace peekaboo
