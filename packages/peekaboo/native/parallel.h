#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

// One build runs everywhere: the loops marked with this are compiled for several x86 vector widths and chosen when the
// library is loaded. Every build must pass -ffp-contract=off: a fused multiply-add rounds once where PyTorch rounds
// twice.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define PEEKABOO_MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PEEKABOO_MULTIVERSION
#endif

namespace peekaboo {

// Elements that are worth a thread of their own in a pass over memory.
constexpr int64_t kGrain = 32768;

// True where a raw loop over `numel()` floats visits each element of the tensor once, in storage order.
inline bool isDenseFloatCpu(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.is_non_overlapping_and_dense();
}

// True where moreover each slice along the first dimension is one contiguous run, as in contiguous and channels-last
// tensors.
inline bool isRowDenseFloatCpu(const at::Tensor& tensor) {
  return isDenseFloatCpu(tensor) && tensor.dim() > 0 && tensor.numel() > 0 &&
         (tensor.size(0) == 1 || tensor.stride(0) == tensor.numel() / tensor.size(0));
}

}  // namespace peekaboo
