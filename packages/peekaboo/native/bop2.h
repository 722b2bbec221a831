#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

#include <cstdint>

namespace peekaboo {

// One step of the second-order latent-free binary optimiser (Suarez-Ramirez et al. 2021, Bop2ndOrder), in place. With
// γ = `ar` and σ = `sigma`: momentum m ← (1-γ)·m + γ·grad, variance v ← (1-σ)·v + σ·grad²; then weights of
// |m| / (√v + `eps`) ≥ `tau` whose sign is m's are negated. A zero weight never counts. `correction` (float64 [2])
// holds the total weight of the gradients in m and in v, 1 - ∏(1-γ) and 1 - ∏(1-σ); with `biasCorrection` m and v are
// divided by it before they are compared. All state starts at zero. `flips` (int32, optional) counts per weight.
// Returns how many flipped, an int64 on `weight`'s device. All other tensors have `weight`'s shape, but for `go`
// (bool [], optional): where that is false, nothing changes.
at::Tensor bop2Step(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& variance,
                    const at::Tensor& correction, const at::Tensor& grad, const c10::optional<at::Tensor>& flips,
                    double ar, double sigma, double tau, double eps, bool biasCorrection,
                    const c10::optional<at::Tensor>& go);

// The same composed of ATen operations: any device, floating dtype and layout, and without waiting for one.
at::Tensor bop2StepReference(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& variance,
                             const at::Tensor& correction, const at::Tensor& grad,
                             const c10::optional<at::Tensor>& flips, double ar, double sigma, double tau, double eps,
                             bool biasCorrection, const c10::optional<at::Tensor>& go);

}  // namespace peekaboo
