#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/custom_class.h>

#include <cstdint>
#include <vector>

namespace peekaboo {

// What a convolution needs beside its tensors, vertical before horizontal.
struct ConvOptions : torch::CustomClassHolder {
  std::vector<int64_t> stride;
  std::vector<int64_t> padding;
  std::vector<int64_t> dilation;
  int64_t groups = 1;
  bool fast = false;  // false: ATen's arithmetic alone
};

// Whether options.fast changes anything: for kernels of 3 × 3 with stride 1, without dilation and groups, and float32
// on the CPU, stored channels last. These are convolved by Winograd's algorithm (winograd.h).
bool isFast(const at::Tensor& input, const at::Tensor& weight, const ConvOptions& options);

// The convolution of `input` [N, C, H, W] with `weight` [O, C / groups, K, K], and the gradient of its input: fast
// where that is possible, else ATen's. For the inside of autograd functions.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                       const ConvOptions& options);
at::Tensor inputGradient(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                         const ConvOptions& options);

// The gradient of its weight, ATen's.
at::Tensor weightGradient(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                          const ConvOptions& options);

// `convolution` with autograd; its derivatives of second and higher order are ATen's.
at::Tensor fastConv2d(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                      const c10::intrusive_ptr<ConvOptions>& options);

}  // namespace peekaboo
