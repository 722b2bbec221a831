#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

#include <cstdint>

namespace peekaboo {

/// One step of the latent-free binary optimiser (Helwegen et al. 2019; ALGORITHM §3), in place. With γ = `ar`:
/// momentum ← grad + γ·grad on the `first` step, momentum·(1-γ) + γ·grad later (each operation rounded, as the original
/// does); then weights of |momentum| ≥ `tau` whose sign is momentum's are negated. A zero weight never counts.
/// `flips` (int32, optional) counts them per weight. Returns how many flipped. All tensors have `weight`'s shape.
int64_t bop_step(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                 const c10::optional<at::Tensor>& flips, double ar, double tau, bool first);

/// The same composed of ATen operations: any device, floating dtype and layout.
int64_t bop_step_reference(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                           const c10::optional<at::Tensor>& flips, double ar, double tau, bool first);

}  // namespace peekaboo
