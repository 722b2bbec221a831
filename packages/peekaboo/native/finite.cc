#include "finite.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// The exponent's bits, all set in a NaN and an infinity alone; integers, so that the loop becomes vector instructions.
constexpr uint32_t kExponent = 0x7f800000;

PEEKABOO_MULTIVERSION bool finiteRun(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= kExponent;
    largest = bits > largest ? bits : largest;
  }
  return largest != kExponent;
}

bool isFinite(const at::Tensor& tensor) {
  if (!isDenseFloatCpu(tensor)) return at::isfinite(tensor).all().item<bool>();
  std::atomic<bool> finite{true};
  const auto* values = tensor.data_ptr<float>();
  at::parallel_for(0, tensor.numel(), kGrain, [&](int64_t begin, int64_t end) {
    if (!finiteRun(values + begin, end - begin)) finite = false;
  });
  return finite;
}

}  // namespace

at::Tensor allFinite(at::TensorList tensors) {
  const at::Tensor result = at::empty({static_cast<int64_t>(tensors.size())}, at::kBool);
  auto* finite = result.data_ptr<bool>();
  for (size_t i = 0; i < tensors.size(); i++) finite[i] = isFinite(tensors[i]);
  return result;
}

at::Tensor allFiniteReference(at::TensorList tensors) {
  if (tensors.empty()) {
    return at::empty({0}, at::kBool);
  }
  std::vector<at::Tensor> largest;
  for (const at::Tensor& tensor : tensors) {
    // One pass, in which a NaN is larger than an infinity. All integers are finite, and so is what holds nothing.
    const bool some = tensor.is_floating_point() && tensor.numel() > 0;
    const at::Tensor norm = some ? at::linalg_vector_norm(tensor, std::numeric_limits<double>::infinity())
                                 : at::zeros({}, tensor.options().dtype(at::kDouble));
    largest.push_back(norm.to(at::kDouble));
  }
  return at::isfinite(at::stack(largest));
}

}  // namespace peekaboo
