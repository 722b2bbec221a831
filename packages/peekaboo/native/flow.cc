#include "flow.h"

#include <ATen/ATen.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <cstdint>

#include "parallel.h"
#include "plain.h"

namespace peekaboo {
namespace {

void checkShapes(const char* name, const at::Tensor& one, const at::Tensor& other) {
  TORCH_CHECK(one.sizes() == other.sizes(), name, ": expected tensors of one shape, received ", one.sizes(), " and ",
              other.sizes());
}

PEEKABOO_MULTIVERSION void magnitudeRun(double* gradient, const double* weight, int64_t count) {
  for (int64_t i = 0; i < count; i++) gradient[i] = std::abs(gradient[i] * weight[i]);
}

PEEKABOO_MULTIVERSION void zeroRun(double* weight, const uint8_t* mask, int64_t count) {
  for (int64_t i = 0; i < count; i++) weight[i] = mask[i] != 0 ? weight[i] : 0.0;
}

PEEKABOO_MULTIVERSION void belowRun(double* weight, const double* gradient, int64_t count, double threshold) {
  for (int64_t i = 0; i < count; i++) {
    weight[i] = std::abs(gradient[i] * weight[i]) > threshold ? weight[i] : 0.0;
  }
}

// Calls run(changed, other, count) for parts of two tensors of float64 and Other, in parallel; false where they don't
// lie one element after the other.
template <typename Other, typename Run>
bool inRuns(at::Tensor& changed, const at::Tensor& other, at::ScalarType type, const Run& run) {
  if (!isPlain(changed, at::kDouble) || !isPlain(other, type)) return false;
  auto* target = changed.data_ptr<double>();
  const auto* source = other.data_ptr<Other>();
  at::parallel_for(0, changed.numel(), kGrain,
                   [&](int64_t begin, int64_t end) { run(target + begin, source + begin, end - begin); });
  return true;
}

}  // namespace

void scoreMagnitudeReference_(at::Tensor& gradient, const at::Tensor& weight) {
  checkShapes("score_magnitude_", gradient, weight);
  gradient.mul_(weight).abs_();
}

void scoreMagnitude_(at::Tensor& gradient, const at::Tensor& weight) {
  checkShapes("score_magnitude_", gradient, weight);
  if (!inRuns<double>(gradient, weight, at::kDouble, magnitudeRun)) scoreMagnitudeReference_(gradient, weight);
}

void zeroCutReference_(at::Tensor& weight, const at::Tensor& mask) {
  checkShapes("zero_cut_", weight, mask);
  weight.mul_(mask);
}

void zeroCut_(at::Tensor& weight, const at::Tensor& mask) {
  checkShapes("zero_cut_", weight, mask);
  if (!inRuns<uint8_t>(weight, mask, at::kByte, zeroRun)) zeroCutReference_(weight, mask);
}

void zeroBelowReference_(at::Tensor& weight, const at::Tensor& gradient, double threshold) {
  checkShapes("zero_below_", weight, gradient);
  weight.mul_((gradient * weight).abs() > threshold);
}

void zeroBelow_(at::Tensor& weight, const at::Tensor& gradient, double threshold) {
  checkShapes("zero_below_", weight, gradient);
  const auto run = [&](double* weights, const double* gradients, int64_t count) {
    belowRun(weights, gradients, count, threshold);
  };
  if (!inRuns<double>(weight, gradient, at::kDouble, run)) zeroBelowReference_(weight, gradient, threshold);
}

}  // namespace peekaboo
