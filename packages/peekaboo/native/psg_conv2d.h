#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>
#include <c10/util/intrusive_ptr.h>

#include <cstdint>

#include "fast_conv2d.h"
#include "select.h"

namespace peekaboo {

// What a predictive-sign-gradient convolution needs beside its tensors (docs/algorithm.md §4).
struct PsgOptions : ConvOptions {
  bool inputSigned;
  int64_t msbBits;
  int64_t msbBitsGrad;
  Selection selection;
  bool predictive;  // false: the plain weight gradient (its sign, if taken)
  bool native;      // false: only ATen operations
};

// Convolution of `input` [N, C, H, W] with mask ⊙ `weight` [O, C / groups, K, K], unquantised forward and for the
// gradients of input and bias. The weight's gradient is predicted: G = conv-weight-gradient(quantise(g),
// quantise(x)), then as `Selection` says. `mask` has `weight`'s shape and holds 0 or 1, as uint8, bool or `weight`'s
// dtype. The result can be differentiated once.
at::Tensor psgConv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& mask,
                     const c10::optional<at::Tensor>& bias, const c10::intrusive_ptr<PsgOptions>& options);

}  // namespace peekaboo
