#include "sign_step.h"

#include <c10/util/Exception.h>

namespace peekaboo {

void checkLikeWeight(const char* op, const at::Tensor& weight, std::initializer_list<Argument> others,
                     const at::Tensor& flips) {
  TORCH_CHECK(weight.is_floating_point(), op, ": weight must hold floating-point numbers, received ",
              weight.scalar_type());
  for (const auto& [name, other] : others) {
    TORCH_CHECK(other.sizes() == weight.sizes() && other.scalar_type() == weight.scalar_type(), op, ": ", name,
                " must be ", weight.scalar_type(), weight.sizes(), " like weight, received ", other.scalar_type(),
                other.sizes());
  }
  TORCH_CHECK(!flips.defined() || (flips.sizes() == weight.sizes() && flips.scalar_type() == at::kInt), op,
              ": flips must be int32 of weight's shape ", weight.sizes(), ", received ",
              flips.defined() ? flips.scalar_type() : at::kInt, flips.defined() ? flips.sizes() : weight.sizes());
}

void checkRate(const char* op, const char* name, double value) {
  TORCH_CHECK(value > 0.0 && value < 1.0, op, ": ", name, " must lie between 0 and 1, received ", value);
}

void checkThreshold(const char* op, double tau) {
  TORCH_CHECK(tau >= 0.0, op, ": tau (threshold) must not be negative, received ", tau);
}

bool sameOrder(const at::Tensor& weight, std::initializer_list<Argument> others, const at::Tensor& flips) {
  if (!isDenseFloatCpu(weight)) return false;
  for (const auto& [name, other] : others) {
    if (!other.device().is_cpu() || other.strides() != weight.strides()) return false;
  }
  return !flips.defined() || (flips.device().is_cpu() && flips.strides() == weight.strides());
}

void put(const at::Tensor& target, const at::Tensor& values, const c10::optional<at::Tensor>& go) {
  target.copy_(go.has_value() ? at::where(*go, values, target) : values);
}

at::Tensor flipSigns(const at::Tensor& weight, const at::Tensor& average, const at::Tensor& due,
                     const at::Tensor& counts, const c10::optional<at::Tensor>& go) {
  at::Tensor flip = (average.sign() == weight.sign()).logical_and_(due).logical_and_(weight != 0);
  if (go.has_value()) flip.logical_and_(*go);
  weight.copy_(at::where(flip, -weight, weight));
  if (counts.defined()) counts.add_(flip);
  return flip.sum();
}

}  // namespace peekaboo
