#include "bop2.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "parallel.h"
#include "sign_step.h"

namespace peekaboo {
namespace {

constexpr auto kBop2 = "bop2_step_";

void check(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& variance,
           const at::Tensor& correction, const at::Tensor& grad, const at::Tensor& flips, double ar, double sigma,
           double tau, double eps) {
  checkLikeWeight(kBop2, weight, {{"momentum", momentum}, {"variance", variance}, {"grad", grad}}, flips);
  TORCH_CHECK(correction.device() == weight.device() && correction.scalar_type() == at::kDouble &&
                  correction.dim() == 1 && correction.size(0) == 2 && correction.is_contiguous(),
              kBop2, ": correction must be contiguous float64 [2] on ",
              weight.is_cpu() ? "the CPU" : weight.device().str(), " like weight, received ", correction.scalar_type(),
              correction.sizes(), " on ", correction.device());
  checkRate(kBop2, "ar (adaptivity rate)", ar);
  checkRate(kBop2, "sigma (rate of the second moment)", sigma);
  checkThreshold(kBop2, tau);
  TORCH_CHECK(eps > 0.0, kBop2, ": eps must be positive, received ", eps);
}

// What m and v are multiplied with before they are compared.
struct Scales {
  double momentum;
  double variance;
};

// The total weight of the gradients in both averages is itself such an average, of ones; so it stays right under a
// schedule of γ, where 1 - (1-γ)^t would not. On the CPU.
Scales advance(const at::Tensor& correction, double ar, double sigma, bool biasCorrection) {
  auto* total = correction.data_ptr<double>();
  total[0] = total[0] * (1.0 - ar) + ar;
  total[1] = total[1] * (1.0 - sigma) + sigma;
  return biasCorrection ? Scales{1.0 / total[0], 1.0 / total[1]} : Scales{1.0, 1.0};
}

struct Bop2Rates {
  float keepMomentum;  // 1 - γ
  float ar;
  float keepVariance;  // 1 - σ
  float sigma;
  float tau;
  float eps;
  float momentumScale;
  float varianceScale;
};

PEEKABOO_MULTIVERSION int64_t stepRun(float* weight, float* momentum, float* variance, const float* grad,
                                      int32_t* flips, int64_t count, Bop2Rates rates) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++) {
    const float m = momentum[i] * rates.keepMomentum + grad[i] * rates.ar;
    const float v = variance[i] * rates.keepVariance + grad[i] * grad[i] * rates.sigma;
    const float ratio = std::fabs(m * rates.momentumScale) / (std::sqrt(v * rates.varianceScale) + rates.eps);
    const float value = weight[i];
    // Without short circuits, which keep GCC from making AVX2 of the loop.
    const int agree = ((m > 0.0f) & (value > 0.0f)) | ((m < 0.0f) & (value < 0.0f));
    const int32_t flip = agree & static_cast<int>(ratio >= rates.tau);
    momentum[i] = m;
    variance[i] = v;
    weight[i] = flip ? -value : value;
    if (flips) flips[i] += flip;
    total += flip;
  }
  return total;
}

}  // namespace

at::Tensor bop2Step(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& variance,
                    const at::Tensor& correction, const at::Tensor& grad, const c10::optional<at::Tensor>& flips,
                    double ar, double sigma, double tau, double eps, bool biasCorrection,
                    const c10::optional<at::Tensor>& go) {
  const at::Tensor counts = flips.value_or(at::Tensor());
  check(weight, momentum, variance, correction, grad, counts, ar, sigma, tau, eps);
  if (!sameOrder(weight, {{"momentum", momentum}, {"variance", variance}, {"grad", grad}}, counts)) {
    return bop2StepReference(weight, momentum, variance, correction, grad, flips, ar, sigma, tau, eps, biasCorrection,
                             go);
  }
  if (go.has_value() && !go->item<bool>()) return at::zeros({}, at::kLong);
  const Scales scales = advance(correction, ar, sigma, biasCorrection);
  const Bop2Rates rates{static_cast<float>(1.0 - ar),
                        static_cast<float>(ar),
                        static_cast<float>(1.0 - sigma),
                        static_cast<float>(sigma),
                        static_cast<float>(tau),
                        static_cast<float>(eps),
                        static_cast<float>(scales.momentum),
                        static_cast<float>(scales.variance)};
  float *weights = weight.data_ptr<float>(), *momenta = momentum.data_ptr<float>();
  auto* variances = variance.data_ptr<float>();
  const auto* grads = grad.data_ptr<float>();
  const auto run = [&](int64_t begin, int32_t* flipped, int64_t count) {
    return stepRun(weights + begin, momenta + begin, variances + begin, grads + begin, flipped, count, rates);
  };
  return stepInOrder(weight, counts, {&weight, &momentum, &variance, &correction, &counts}, run);
}

at::Tensor bop2StepReference(const at::Tensor& weight, const at::Tensor& momentum, const at::Tensor& variance,
                             const at::Tensor& correction, const at::Tensor& grad,
                             const c10::optional<at::Tensor>& flips, double ar, double sigma, double tau, double eps,
                             bool biasCorrection, const c10::optional<at::Tensor>& go) {
  const at::Tensor counts = flips.value_or(at::Tensor());
  check(weight, momentum, variance, correction, grad, counts, ar, sigma, tau, eps);
  const at::NoGradGuard noGrad;
  put(momentum, momentum * (1.0 - ar) + grad * ar, go);
  put(variance, variance * (1.0 - sigma) + grad * grad * sigma, go);
  put(correction.select(0, 0), correction.select(0, 0) * (1.0 - ar) + ar, go);
  put(correction.select(0, 1), correction.select(0, 1) * (1.0 - sigma) + sigma, go);
  const auto scaled = [&](const at::Tensor& average, int64_t which) {
    return biasCorrection ? average * correction.select(0, which).reciprocal().to(average.scalar_type()) : average;
  };
  const at::Tensor ratio = scaled(momentum, 0).abs() / (scaled(variance, 1).sqrt() + eps);
  return flipSigns(weight, momentum, ratio >= tau, counts, go);
}

}  // namespace peekaboo
