#include "batch_norm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "batch_norm_passes.h"
#include "parallel.h"

namespace peekaboo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kInnermost = at::MemoryFormat::ChannelsLast;

PixelRows pixelsOf(const at::Tensor& input) { return {input.numel() / input.size(1), input.size(1)}; }

std::vector<float> numbersOf(const at::Tensor& tensor) {
  const auto* values = tensor.data_ptr<float>();
  return std::vector<float>(values, values + tensor.numel());
}

at::Tensor tensorOf(const std::vector<float>& values) {
  const at::Tensor result = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), result.data_ptr<float>());
  return result;
}

Affine affineOf(const std::vector<float>& mean, const std::vector<float>& inverse, const at::Tensor& weight,
                const at::Tensor& bias) {
  Affine affine{mean, inverse, numbersOf(bias)};
  const auto* factors = weight.data_ptr<float>();
  for (size_t c = 0; c < inverse.size(); c++) affine.scale[c] *= factors[c];
  return affine;
}

struct Statistics {
  std::vector<float> mean;
  std::vector<float> inverse;  // 1 / √(σ² + eps)
};

// Of the batch; moves the running ones towards them, the variance being the unbiased estimate there.
Statistics takeStatistics(const at::Tensor& input, const at::Tensor& runningMean, const at::Tensor& runningVar,
                          double momentum, double eps) {
  const PixelRows pixels = pixelsOf(input);
  const ChannelSums sums = sumsOf(input.data_ptr<float>(), pixels);
  const auto count = static_cast<double>(pixels.rows);
  auto *means = runningMean.data_ptr<float>(), *variances = runningVar.data_ptr<float>();
  Statistics statistics{std::vector<float>(pixels.channels), std::vector<float>(pixels.channels)};
  for (int64_t c = 0; c < pixels.channels; c++) {
    const double mean = sums.first[c] / count;
    const double squares = sums.second[c] - sums.first[c] * mean;
    const double deviations = squares < 0.0 ? 0.0 : squares;  // by rounding alone; NaN stays
    statistics.mean[c] = static_cast<float>(mean);
    statistics.inverse[c] = static_cast<float>(1.0 / std::sqrt(deviations / count + eps));
    means[c] = static_cast<float>(momentum * mean + (1.0 - momentum) * means[c]);
    variances[c] = static_cast<float>(momentum * (deviations / (count - 1.0)) + (1.0 - momentum) * variances[c]);
  }
  return statistics;
}

Passed* passedAt(const at::Tensor& words) { return reinterpret_cast<Passed*>(words.data_ptr<int32_t>()); }

struct BatchNormAct : torch::autograd::Function<BatchNormAct> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const c10::optional<at::Tensor>& residual,
                            const Statistics& statistics, bool relu, bool isDifferentiated) {
    at::Tensor output = at::empty_like(input, kInnermost);
    const at::Tensor added = residual.has_value() ? residual->contiguous(kInnermost) : at::Tensor();
    const bool tells = added.defined() && relu && isDifferentiated;
    const at::Tensor passed = tells ? at::empty({wordsOf(pixelsOf(input))}, at::kInt) : at::Tensor();
    normalise(input.data_ptr<float>(), added.defined() ? added.data_ptr<float>() : nullptr, output.data_ptr<float>(),
              tells ? passedAt(passed) : nullptr, pixelsOf(input),
              affineOf(statistics.mean, statistics.inverse, weight, bias), relu);
    variable_list saved{input, weight, bias, tensorOf(statistics.mean), tensorOf(statistics.inverse)};
    if (tells) saved.push_back(passed);
    context->save_for_backward(saved);
    context->saved_data["relu"] = relu;
    context->saved_data["joins"] = added.defined();
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "batch_norm_act: its gradient can't be differentiated again; use ATen's batch_norm for that");
    const variable_list saved = context->get_saved_variables();
    const bool relu = context->saved_data["relu"].toBool(), joins = context->saved_data["joins"].toBool();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const at::Tensor grad = grads[0].contiguous(kInnermost);
    const std::vector<float> inverse = numbersOf(saved[4]);
    const Affine affine = affineOf(numbersOf(saved[3]), inverse, weight, saved[2]);
    const PixelRows pixels = pixelsOf(input);

    // Beside a residual, the gradient that the rectifier lets pass is wanted for itself.
    const bool keeps = joins && relu;
    const at::Tensor kept = keeps ? at::empty_like(grad, kInnermost) : grad;
    const Cut cut = keeps ? Cut::kWhereTold : relu ? Cut::kAtNormalised : Cut::kNowhere;
    const auto* values = input.data_ptr<float>();
    const ChannelSums sums = gradientSums(values, keeps ? passedAt(saved[5]) : nullptr, grad.data_ptr<float>(),
                                          keeps ? kept.data_ptr<float>() : nullptr, pixels, affine, cut);

    std::vector<float> gradWeight(pixels.channels), gradBias(pixels.channels);
    std::vector<float> centre(pixels.channels), slope(pixels.channels);
    for (int64_t c = 0; c < pixels.channels; c++) {
      const double own = inverse[c], count = static_cast<double>(pixels.rows);
      gradWeight[c] = static_cast<float>(sums.second[c] * own);
      gradBias[c] = static_cast<float>(sums.first[c]);
      centre[c] = static_cast<float>(sums.first[c] / count);
      slope[c] = static_cast<float>(sums.second[c] * own * own / count);
    }
    variable_list result(7);
    if (context->needs_input_grad(0)) {
      result[0] = at::empty_like(input, kInnermost);
      inputGradient(values, kept.data_ptr<float>(), result[0].data_ptr<float>(), pixels, affine, centre, slope,
                    keeps ? Cut::kNowhere : cut);
    }
    if (context->needs_input_grad(1)) result[1] = tensorOf(gradWeight);
    if (context->needs_input_grad(2)) result[2] = tensorOf(gradBias);
    if (joins && context->needs_input_grad(3)) result[3] = kept;
    return result;
  }
};

bool isPixelwiseFloat(const at::Tensor& input, const std::vector<at::Tensor>& ofChannels,
                      const c10::optional<at::Tensor>& residual) {
  const auto isFloatCpu = [](const at::Tensor& tensor) {
    return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided;
  };
  if (!isFloatCpu(input) || input.dim() != 4 || input.numel() == 0 || !input.is_contiguous(kInnermost)) return false;
  for (const at::Tensor& tensor : ofChannels) {
    if (!isFloatCpu(tensor) || tensor.dim() != 1 || tensor.size(0) != input.size(1) || !tensor.is_contiguous()) {
      return false;
    }
  }
  return !residual.has_value() || isFloatCpu(*residual);
}

void checkResidual(const at::Tensor& input, const c10::optional<at::Tensor>& residual) {
  TORCH_CHECK(!residual.has_value() || residual->sizes() == input.sizes(),
              "batch_norm_act: residual must have the input's shape ", input.sizes(), ", received ", residual->sizes());
}

}  // namespace

at::Tensor batchNormAct(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                        const at::Tensor& runningMean, const at::Tensor& runningVar,
                        const c10::optional<at::Tensor>& residual, double momentum, double eps, bool relu) {
  checkResidual(input, residual);
  if (!isPixelwiseFloat(input, {weight, bias, runningMean, runningVar}, residual)) {
    return batchNormActReference(input, weight, bias, runningMean, runningVar, residual, momentum, eps, relu);
  }
  const Statistics statistics = takeStatistics(input, runningMean, runningVar, momentum, eps);
  const auto learns = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  const bool isDifferentiated = at::GradMode::is_enabled() && (learns(input) || learns(weight) || learns(bias) ||
                                                               (residual.has_value() && learns(*residual)));
  return BatchNormAct::apply(input, weight, bias, residual, statistics, relu, isDifferentiated);
}

at::Tensor batchNormActReference(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                 const at::Tensor& runningMean, const at::Tensor& runningVar,
                                 const c10::optional<at::Tensor>& residual, double momentum, double eps, bool relu) {
  checkResidual(input, residual);
  at::Tensor result = at::batch_norm(input, weight, bias, runningMean, runningVar, /*training=*/true, momentum, eps,
                                     /*cudnn_enabled=*/true);
  if (residual.has_value()) result.add_(*residual);
  return relu ? result.relu_() : result;
}

}  // namespace peekaboo
