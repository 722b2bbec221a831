#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

namespace peekaboo {

// Batch normalisation of `input` [N, C, H, W] in training (Ioffe & Szegedy 2015, alg. 1), then `residual` added where
// there is one, then rectified if `relu`: y = max(0, γ · (x - μ) / √(σ² + eps) + β + residual). μ and σ² are the
// batch's, and move the running ones as PyTorch does. The result can be differentiated once; for that it keeps x, μ and
// 1 / √(σ² + eps), and the output only beside a residual.
//
// σ² comes from Σx and Σx² in double precision: its relative error is at most some n · 2^-53 · (1 + μ² / σ²) over n
// values, mostly far less. All else rounds as float32 does.
//
// Fast for float32 tensors on the CPU whose channels lie innermost; all else goes to the operations below.
at::Tensor batchNormAct(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                        const at::Tensor& runningMean, const at::Tensor& runningVar,
                        const c10::optional<at::Tensor>& residual, double momentum, double eps, bool relu);

// The same composed of ATen operations: any device, dtype and layout.
at::Tensor batchNormActReference(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                 const at::Tensor& runningMean, const at::Tensor& runningVar,
                                 const c10::optional<at::Tensor>& residual, double momentum, double eps, bool relu);

}  // namespace peekaboo
