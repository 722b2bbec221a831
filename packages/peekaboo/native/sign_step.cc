#include "sign_step.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include "parallel.h"

namespace peekaboo {

void check_like_weight(const char* op, const at::Tensor& weight, std::initializer_list<Argument> others,
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

void check_rate(const char* op, const char* name, double value) {
  TORCH_CHECK(value > 0.0 && value < 1.0, op, ": ", name, " must lie between 0 and 1, received ", value);
}

void check_threshold(const char* op, double tau) {
  TORCH_CHECK(tau >= 0.0, op, ": tau (threshold) must not be negative, received ", tau);
}

bool same_order(const at::Tensor& weight, std::initializer_list<Argument> others, const at::Tensor& flips) {
  if (!is_dense_float_cpu(weight)) {
    return false;
  }
  for (const auto& [name, other] : others) {
    if (!other.device().is_cpu() || other.strides() != weight.strides()) {
      return false;
    }
  }
  return !flips.defined() || (flips.device().is_cpu() && flips.strides() == weight.strides());
}

void put(const at::Tensor& target, const at::Tensor& values, const c10::optional<at::Tensor>& go) {
  target.copy_(go.has_value() ? at::where(*go, values, target) : values);
}

at::Tensor flip_signs(const at::Tensor& weight, const at::Tensor& average, const at::Tensor& due,
                      const at::Tensor& counts, const c10::optional<at::Tensor>& go) {
  at::Tensor flip = (average.sign() == weight.sign()).logical_and_(due).logical_and_(weight != 0);
  if (go.has_value()) {
    flip.logical_and_(*go);
  }
  weight.copy_(at::where(flip, -weight, weight));
  if (counts.defined()) {
    counts.add_(flip);
  }
  return flip.sum();
}

at::Tensor count_of(int64_t flips) { return at::full({}, flips, at::kLong); }

void bump_versions(std::initializer_list<const at::Tensor*> changed) {
  for (const auto* tensor : changed) {
    if (tensor->defined()) {
      tensor->unsafeGetTensorImpl()->bump_version();
    }
  }
}

}  // namespace peekaboo
