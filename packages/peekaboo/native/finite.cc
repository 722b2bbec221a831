#include "finite.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cstddef>
#include <cstring>

#include "parallel.h"

namespace peekaboo {
namespace {

// The exponent's bits, all set in a NaN and an infinity alone; integers, so that the loop becomes vector instructions.
constexpr uint32_t kExponent = 0x7f800000;

PEEKABOO_MULTIVERSION bool finite_run(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= kExponent;
    largest = bits > largest ? bits : largest;
  }
  return largest != kExponent;
}

bool all_finite(const at::Tensor& tensor) {
  if (!is_dense_float_cpu(tensor)) {
    return at::isfinite(tensor).all().item<bool>();
  }
  std::atomic<bool> finite{true};
  const auto* values = tensor.data_ptr<float>();
  at::parallel_for(0, tensor.numel(), kGrain, [&](int64_t begin, int64_t end) {
    if (!finite_run(values + begin, end - begin)) {
      finite = false;
    }
  });
  return finite;
}

}  // namespace

int64_t first_nonfinite(at::TensorList tensors) {
  for (size_t i = 0; i < tensors.size(); i++) {
    if (!all_finite(tensors[i])) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

}  // namespace peekaboo
