#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace peekaboo {

// Which entries of a predicted weight gradient count (docs/algorithm.md §4): those of magnitude `threshold` and more.
struct Selection {
  double threshold;  // absolute, or a fraction of the largest magnitude
  bool relative;
  bool sparsify;  // entries below the threshold become zero instead of the full-precision gradient's
  bool takeSign;
};

// mask ⊙ (big ⊙ predicted + (1 - big) ⊙ full), with sign(…) if taken. `full` is called only when an entry is small and
// not sparsified (by the reference on another device than the CPU: when entries are not sparsified). A NaN in
// `predicted` is always big, and stays visible through sign and mask.
at::Tensor selectGradient(const at::Tensor& predicted, const std::function<at::Tensor()>& full, const at::Tensor& mask,
                          const Selection& selection);

// The same composed of ATen operations: any device, floating dtype and layout.
at::Tensor selectGradientReference(const at::Tensor& predicted, const std::function<at::Tensor()>& full,
                                   const at::Tensor& mask, const Selection& selection);

}  // namespace peekaboo
