#include "bop.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "parallel.h"
#include "sign_step.h"

namespace peekaboo {
namespace {

constexpr auto kBop = "bop_step_";

void check(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad, const at::Tensor& flips,
           double ar, double tau) {
  checkLikeWeight(kBop, weight, {{"momentum", momentum}, {"grad", grad}}, flips);
  checkRate(kBop, "ar (adaptivity rate)", ar);
  checkThreshold(kBop, tau);
}

struct BopRates {
  float keep;  // 1 - γ, of the moving average; 1 on the first step
  float adapt;
  float tau;
};

PEEKABOO_MULTIVERSION int64_t stepRun(float* weight, float* momentum, const float* grad, int32_t* flips, int64_t count,
                                      BopRates rates, bool first) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++) {
    const float before = first ? grad[i] : momentum[i] * rates.keep;
    const float now = before + rates.adapt * grad[i];
    const float value = weight[i];
    const bool agree = (now > 0.0f && value > 0.0f) || (now < 0.0f && value < 0.0f);
    const int32_t flip = agree && std::fabs(now) >= rates.tau ? 1 : 0;
    momentum[i] = now;
    weight[i] = flip ? -value : value;
    if (flips) flips[i] += flip;
    total += flip;
  }
  return total;
}

}  // namespace

at::Tensor bopStep(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                   const c10::optional<at::Tensor>& flips, double ar, double tau, bool first,
                   const c10::optional<at::Tensor>& go) {
  const at::Tensor counts = flips.value_or(at::Tensor());
  check(weight, momentum, grad, counts, ar, tau);
  if (!sameOrder(weight, {{"momentum", momentum}, {"grad", grad}}, counts)) {
    return bopStepReference(weight, momentum, grad, flips, ar, tau, first, go);
  }
  if (go.has_value() && !go->item<bool>()) return at::zeros({}, at::kLong);
  const BopRates rates{static_cast<float>(1.0 - ar), static_cast<float>(ar), static_cast<float>(tau)};
  float *weights = weight.data_ptr<float>(), *momenta = momentum.data_ptr<float>();
  const auto* grads = grad.data_ptr<float>();
  const auto run = [&](int64_t begin, int32_t* flipped, int64_t count) {
    return stepRun(weights + begin, momenta + begin, grads + begin, flipped, count, rates, first);
  };
  return stepInOrder(weight, counts, {&weight, &momentum, &counts}, run);
}

at::Tensor bopStepReference(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& grad,
                            const c10::optional<at::Tensor>& flips, double ar, double tau, bool first,
                            const c10::optional<at::Tensor>& go) {
  const at::Tensor counts = flips.value_or(at::Tensor());
  check(weight, momentum, grad, counts, ar, tau);
  const at::NoGradGuard noGrad;
  put(momentum, (first ? grad : momentum * (1.0 - ar)) + grad * ar, go);
  return flipSigns(weight, momentum, momentum.abs() >= tau, counts, go);
}

}  // namespace peekaboo
