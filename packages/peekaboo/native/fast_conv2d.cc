#include "fast_conv2d.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/OptionalArrayRef.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <tuple>

#include "winograd.h"

namespace peekaboo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

bool isFloatCpu(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.dim() == 4 && tensor.numel() > 0;
}

// Computes output from input [N, C, H, W], stored channels last, and a weight of these outputs and strides.
at::Tensor filter(const at::Tensor& input, int64_t outputs, const float* weight, std::array<int64_t, 4> strides,
                  std::array<int64_t, 2> padding, const float* bias) {
  Winograd problem{input.size(0),           input.size(2), input.size(3), input.size(1), outputs, padding,
                   input.data_ptr<float>(), weight,        strides,       bias,          nullptr};
  const at::Tensor output = at::empty({problem.images, outputs, problem.outputHeight(), problem.outputWidth()},
                                      input.options().memory_format(kChannelsLast));
  problem.y = output.data_ptr<float>();
  const at::Tensor transformed = at::empty({transformedSize(problem)}, input.options());
  convolve(problem, transformed.data_ptr<float>());
  return output;
}

std::array<at::Tensor, 3> gradients(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                                    const ConvOptions& options, std::array<bool, 3> wanted) {
  c10::OptionalIntArrayRef biasSizes;
  const int64_t outputs = weight.size(0);
  if (wanted[2]) biasSizes = at::IntArrayRef(outputs);
  const auto [ofInput, ofWeight, ofBias] =
      at::convolution_backward(grad, input, weight, biasSizes, options.stride, options.padding, options.dilation,
                               /*transposed=*/false, /*output_padding=*/{0, 0}, options.groups, wanted);
  return {ofInput, ofWeight, ofBias};
}

struct FastConv2d : torch::autograd::Function<FastConv2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const c10::optional<at::Tensor>& bias, const c10::intrusive_ptr<ConvOptions>& options) {
    context->save_for_backward({input, weight});
    context->saved_data["options"] = c10::IValue::make_capsule(options);
    context->saved_data["has_bias"] = bias.has_value() && bias->defined();
    return convolution(input, weight, bias, *options);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto options = c10::static_intrusive_pointer_cast<ConvOptions>(context->saved_data["options"].toCapsule());
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &grad = grads[0], &input = saved[0], &weight = saved[1];
    const bool ofInput = context->needs_input_grad(0), ofWeight = context->needs_input_grad(1);
    const bool ofBias = context->saved_data["has_bias"].toBool() && context->needs_input_grad(2);
    if (at::GradMode::is_enabled()) {  // ATen's products can be differentiated again
      const auto all = gradients(grad, input, weight, *options, {ofInput, ofWeight, ofBias});
      return {all[0], all[1], all[2], at::Tensor()};
    }
    return {ofInput ? inputGradient(grad, input, weight, *options) : at::Tensor(),
            ofWeight ? weightGradient(grad, input, weight, *options) : at::Tensor(),
            ofBias ? grad.sum({0, 2, 3}) : at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool isFast(const at::Tensor& input, const at::Tensor& weight, const ConvOptions& options) {
  if (!options.fast || !isFloatCpu(input) || !isFloatCpu(weight)) return false;
  if (options.groups != 1 || input.size(1) != weight.size(1) || !input.is_contiguous(kChannelsLast)) return false;
  std::array<int64_t, 2> pixels;
  for (int64_t axis = 0; axis < 2; axis++) {
    const int64_t padding = options.padding[axis];
    if (weight.size(2 + axis) != 3 || options.stride[axis] != 1 || options.dilation[axis] != 1) return false;
    if (padding < 0 || padding > 2) return false;
    pixels[axis] = input.size(2 + axis) + 2 * padding - 2;
  }
  return paysOff(input.size(1), weight.size(0), input.size(0), pixels[0], pixels[1]);
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                       const ConvOptions& options) {
  const bool hasBias = bias.has_value() && bias->defined();
  if (!isFast(input, weight, options) || (hasBias && bias->scalar_type() != at::kFloat)) {
    return at::convolution(input, weight, bias, options.stride, options.padding, options.dilation,
                           /*transposed=*/false, /*output_padding=*/{0, 0}, options.groups);
  }
  const at::Tensor shift = hasBias ? bias->contiguous() : at::Tensor();
  return filter(input, weight.size(0), weight.data_ptr<float>(),
                {weight.stride(0), weight.stride(1), weight.stride(2), weight.stride(3)},
                {options.padding[0], options.padding[1]}, hasBias ? shift.data_ptr<float>() : nullptr);
}

at::Tensor inputGradient(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                         const ConvOptions& options) {
  if (!isFast(input, weight, options) || !isFloatCpu(grad)) {
    return gradients(grad, input, weight, options, {true, false, false})[0];
  }
  // The convolution of grad with the weight turned by half a turn, its inputs and outputs exchanged.
  const float* last = weight.data_ptr<float>() + 2 * weight.stride(2) + 2 * weight.stride(3);
  return filter(grad.contiguous(kChannelsLast), weight.size(1), last,
                {weight.stride(1), weight.stride(0), -weight.stride(2), -weight.stride(3)},
                {2 - options.padding[0], 2 - options.padding[1]}, nullptr);
}

at::Tensor weightGradient(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                          const ConvOptions& options) {
  return gradients(grad, input, weight, options, {false, true, false})[1];
}

at::Tensor fastConv2d(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                      const c10::intrusive_ptr<ConvOptions>& options) {
  return FastConv2d::apply(input, weight, bias, options);
}

}  // namespace peekaboo
