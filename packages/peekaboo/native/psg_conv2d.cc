#include "psg_conv2d.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>
#include <c10/util/Optional.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/custom_function.h>

#include "integer_gradient.h"
#include "quantize.h"

namespace peekaboo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void check(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& mask, const PsgOptions& options) {
  TORCH_CHECK(input.dim() == 4, "psg_conv2d: input must be [N, C, H, W], received ", input.sizes());
  TORCH_CHECK(weight.dim() == 4, "psg_conv2d: weight must be [O, C / groups, K, K], received ", weight.sizes());
  TORCH_CHECK(mask.sizes() == weight.sizes(), "psg_conv2d: mask must have the weight's shape ", weight.sizes(),
              ", received ", mask.sizes());
  TORCH_CHECK(
      mask.scalar_type() == weight.scalar_type() || mask.scalar_type() == at::kByte || mask.scalar_type() == at::kBool,
      "psg_conv2d: mask must be uint8, bool or ", weight.scalar_type(), ", received ", mask.scalar_type());
  TORCH_CHECK(options.msbBits >= 1 && options.msbBitsGrad >= 1,
              "psg_conv2d: msb_bits and msb_bits_grad must be at least 1, received ", options.msbBits, " and ",
              options.msbBitsGrad);
  TORCH_CHECK(options.selection.threshold >= 0.0, "psg_conv2d: threshold must not be negative, received ",
              options.selection.threshold);
}

at::Tensor selectedGradient(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& mask, const PsgOptions& options) {
  const auto plain = [&] { return weightGradient(grad, input, weight, options); };
  const auto predicted = [&] {
    if (options.native) {
      if (const auto exact = integerWeightGradient(grad, input, weight, options)) return *exact;
    }
    const auto rounded = options.native ? quantize : quantizeReference;
    return weightGradient(rounded(grad, Role::kGradient, options.msbBitsGrad, true),
                          rounded(input, Role::kActivation, options.msbBits, options.inputSigned), weight, options);
  };
  const auto select = options.native ? selectGradient : selectGradientReference;
  if (options.predictive) return select(predicted(), plain, mask, options.selection);
  return select(plain(), plain, mask, {0.0, false, true, options.selection.takeSign});
}

struct PsgConv2d : torch::autograd::Function<PsgConv2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& mask, const c10::optional<at::Tensor>& bias,
                            const c10::intrusive_ptr<PsgOptions>& options) {
    context->save_for_backward({input, weight, mask});
    context->saved_data["options"] = c10::IValue::make_capsule(options);
    context->saved_data["has_bias"] = bias.has_value() && bias->defined();
    return convolution(input, weight * mask, bias, *options);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "psg_conv2d: its gradient can't be differentiated again; use the plain convolution for that");
    const auto options = c10::static_intrusive_pointer_cast<PsgOptions>(context->saved_data["options"].toCapsule());
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &grad = grads[0], &input = saved[0], &weight = saved[1], &mask = saved[2];
    at::Tensor gradInput, gradWeight, gradBias;
    if (context->needs_input_grad(0)) gradInput = inputGradient(grad, input, weight * mask, *options);
    if (context->needs_input_grad(1)) gradWeight = selectedGradient(grad, input, weight, mask, *options);
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(3)) {
      gradBias = grad.sum({0, 2, 3});
    }
    return {gradInput, gradWeight, at::Tensor(), gradBias, at::Tensor()};
  }
};

}  // namespace

at::Tensor psgConv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& mask,
                     const c10::optional<at::Tensor>& bias, const c10::intrusive_ptr<PsgOptions>& options) {
  check(input, weight, mask, *options);
  return PsgConv2d::apply(input, weight, mask, bias, options);
}

}  // namespace peekaboo
