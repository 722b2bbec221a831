// What synaptic flow does to whole tensors between two passes (docs/algorithm.md §2), each in one pass over memory.

#include <ATen/ATen.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <cmath>
#include <cstdint>

#include "parallel.h"
#include "plain.h"

namespace peekaboo {
namespace {

void check_shapes(const char* name, const at::Tensor& one, const at::Tensor& other) {
  TORCH_CHECK(one.sizes() == other.sizes(), name, ": expected tensors of one shape, received ", one.sizes(), " and ",
              other.sizes());
}

PEEKABOO_MULTIVERSION void magnitude_run(double* gradient, const double* weight, int64_t count) {
  for (int64_t i = 0; i < count; i++) gradient[i] = std::abs(gradient[i] * weight[i]);
}

// The three that follow, composed of ATen operations: for every device, dtype and layout.

void score_magnitude_reference_(at::Tensor& gradient, const at::Tensor& weight) {
  check_shapes("score_magnitude_", gradient, weight);
  gradient.mul_(weight).abs_();
}

void zero_cut_reference_(at::Tensor& weight, const at::Tensor& mask) {
  check_shapes("zero_cut_", weight, mask);
  weight.mul_(mask);
}

void zero_below_reference_(at::Tensor& weight, const at::Tensor& gradient, double threshold) {
  check_shapes("zero_below_", weight, gradient);
  weight.mul_((gradient * weight).abs() > threshold);
}

// gradient <- |gradient * weight|
void score_magnitude_(at::Tensor& gradient, const at::Tensor& weight) {
  check_shapes("score_magnitude_", gradient, weight);
  if (!is_plain(gradient, at::kDouble) || !is_plain(weight, at::kDouble)) {
    return score_magnitude_reference_(gradient, weight);
  }
  auto* gradients = gradient.data_ptr<double>();
  const auto* weights = weight.data_ptr<double>();
  at::parallel_for(0, gradient.numel(), kGrain,
                   [&](int64_t begin, int64_t end) { magnitude_run(gradients + begin, weights + begin, end - begin); });
}

PEEKABOO_MULTIVERSION void zero_run(double* weight, const uint8_t* mask, int64_t count) {
  for (int64_t i = 0; i < count; i++) weight[i] = mask[i] != 0 ? weight[i] : 0.0;
}

// weight <- weight where mask is 1, zero where it is 0
void zero_cut_(at::Tensor& weight, const at::Tensor& mask) {
  check_shapes("zero_cut_", weight, mask);
  if (!is_plain(weight, at::kDouble) || !is_plain(mask, at::kByte)) {
    return zero_cut_reference_(weight, mask);
  }
  auto* weights = weight.data_ptr<double>();
  const auto* kept = mask.data_ptr<uint8_t>();
  at::parallel_for(0, weight.numel(), kGrain,
                   [&](int64_t begin, int64_t end) { zero_run(weights + begin, kept + begin, end - begin); });
}

PEEKABOO_MULTIVERSION void below_run(double* weight, const double* gradient, int64_t count, double threshold) {
  for (int64_t i = 0; i < count; i++) {
    weight[i] = std::abs(gradient[i] * weight[i]) > threshold ? weight[i] : 0.0;
  }
}

// weight <- weight where |gradient * weight| is above the threshold, zero elsewhere: what score_magnitude_, keep_above
// and zero_cut_ do one after the other, without scores or a mask
void zero_below_(at::Tensor& weight, const at::Tensor& gradient, double threshold) {
  check_shapes("zero_below_", weight, gradient);
  if (!is_plain(weight, at::kDouble) || !is_plain(gradient, at::kDouble)) {
    return zero_below_reference_(weight, gradient, threshold);
  }
  auto* weights = weight.data_ptr<double>();
  const auto* gradients = gradient.data_ptr<double>();
  at::parallel_for(0, weight.numel(), kGrain, [&](int64_t begin, int64_t end) {
    below_run(weights + begin, gradients + begin, end - begin, threshold);
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(peekaboo, m) {
  m.def("score_magnitude_(Tensor(a!) gradient, Tensor weight) -> ()");
  m.def("zero_cut_(Tensor(a!) weight, Tensor mask) -> ()");
  m.def("zero_below_(Tensor(a!) weight, Tensor gradient, float threshold) -> ()");
}

TORCH_LIBRARY_IMPL(peekaboo, CPU, m) {
  m.impl("score_magnitude_", score_magnitude_);
  m.impl("zero_cut_", zero_cut_);
  m.impl("zero_below_", zero_below_);
}

TORCH_LIBRARY_IMPL(peekaboo, CompositeExplicitAutograd, m) {
  m.impl("score_magnitude_", score_magnitude_reference_);
  m.impl("zero_cut_", zero_cut_reference_);
  m.impl("zero_below_", zero_below_reference_);
}

}  // namespace peekaboo
