#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

#include <cstdint>

namespace peekaboo {

// One step of the latent-free binary optimiser (Helwegen et al. 2019; docs/algorithm.md §3), in place. With γ = `ar`:
// momentum ← grad + γ·grad on the `first` step, momentum·(1-γ) + γ·grad later (each operation rounded, as the original
// does); then weights of |momentum| ≥ `tau` whose sign is momentum's are negated. A zero weight never counts.
// `flips` (int32, optional) counts them per weight. Returns how many flipped, an int64 on `weight`'s device. All
// tensors have `weight`'s shape, but for `go` (bool [], optional): where that is false, nothing changes.
at::Tensor bopStep(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                   const c10::optional<at::Tensor>& flips, double ar, double tau, bool first,
                   const c10::optional<at::Tensor>& go);

// The same composed of ATen operations: any device, floating dtype and layout, and without waiting for one.
at::Tensor bopStepReference(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                            const c10::optional<at::Tensor>& flips, double ar, double tau, bool first,
                            const c10::optional<at::Tensor>& go);

}  // namespace peekaboo
