#include "psg_conv2d.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>
#include <c10/util/Optional.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/custom_function.h>

#include "integer_gradient.h"
#include "parallel.h"
#include "placeholder.h"
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

// Whether the backward pass can need the weight's gradient in full precision.
bool needsPlain(const PsgOptions& options) {
  return !options.predictive || (!options.selection.sparsify && options.selection.threshold > 0.0);
}

// A convolution's input as its backward pass has it: as it was or, where that is enough, packed.
struct SavedInput {
  at::Tensor values;
  c10::optional<PackedInput> packed;
};

at::Tensor predictedGradient(const at::Tensor& grad, const SavedInput& input, const at::Tensor& weight,
                             const PsgOptions& options) {
  if (!options.native) {
    return weightGradient(quantizeReference(grad, Role::kGradient, options.msbBitsGrad, true),
                          quantizeReference(input.values, Role::kActivation, options.msbBits, options.inputSigned),
                          weight, options);
  }
  const auto packed = input.packed ? input.packed : packInput(input.values, weight, grad.sizes(), options);
  if (packed) {
    if (const auto exact = integerWeightGradient(grad, *packed, weight, options)) return *exact;
  }
  return weightGradient(quantize(grad, Role::kGradient, options.msbBitsGrad, true),
                        packed ? unpackedInput(*packed, weight, grad.sizes(), options)
                               : quantize(input.values, Role::kActivation, options.msbBits, options.inputSigned),
                        weight, options);
}

at::Tensor selectedGradient(const at::Tensor& grad, const SavedInput& input, const at::Tensor& weight,
                            const at::Tensor& mask, const PsgOptions& options) {
  const auto plain = [&] { return weightGradient(grad, input.values, weight, options); };
  const auto select = options.native ? selectGradient : selectGradientReference;
  if (options.predictive)
    return select(predictedGradient(grad, input, weight, options), plain, mask, options.selection);
  return select(plain(), plain, mask, {0.0, false, true, options.selection.takeSign});
}

struct PsgConv2d : torch::autograd::Function<PsgConv2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& mask, const c10::optional<at::Tensor>& bias,
                            const c10::intrusive_ptr<PsgOptions>& options, bool learns) {
    at::Tensor output = convolution(input, weight * mask, bias, *options);
    c10::optional<PackedInput> packed;
    if (learns && options->native && !needsPlain(*options) && isRowDenseFloatCpu(input)) {
      packed = packInput(input, weight, output.sizes(), *options);
    }
    context->save_for_backward({packed ? packed->bytes : input, weight, mask});
    context->saved_data["options"] = c10::IValue::make_capsule(options);
    context->saved_data["has_bias"] = bias.has_value() && bias->defined();
    if (packed) {
      context->saved_data["packed_scale"] = static_cast<double>(packed->scale);
      context->saved_data["packed_sizes"] = packed->sizes;
      context->saved_data["packed_strides"] = packed->strides;
    }
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(),
                "psg_conv2d: its gradient can't be differentiated again; use the plain convolution for that");
    const auto options = c10::static_intrusive_pointer_cast<PsgOptions>(context->saved_data["options"].toCapsule());
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &grad = grads[0], &weight = saved[1], &mask = saved[2];
    const SavedInput input = savedInput(*context, saved[0], weight);
    at::Tensor gradInput, gradWeight, gradBias;
    if (context->needs_input_grad(0)) gradInput = inputGradient(grad, input.values, weight * mask, *options);
    if (context->needs_input_grad(1)) gradWeight = selectedGradient(grad, input, weight, mask, *options);
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(3)) {
      gradBias = grad.sum({0, 2, 3});
    }
    return {gradInput, gradWeight, at::Tensor(), gradBias, at::Tensor(), at::Tensor()};
  }

  // Of a packed input, `values` are a placeholder: the input's gradient takes only shape and order of them.
  static SavedInput savedInput(AutogradContext& context, const at::Tensor& tensor, const at::Tensor& weight) {
    auto& data = context.saved_data;
    if (data.count("packed_scale") == 0) return {tensor, c10::nullopt};
    PackedInput packed{tensor, static_cast<float>(data["packed_scale"].toDouble()), data["packed_sizes"].toIntVector(),
                       data["packed_strides"].toIntVector()};
    return {placeholder(packed.sizes, packed.strides, weight.options()), packed};
  }
};

}  // namespace

at::Tensor psgConv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& mask,
                     const c10::optional<at::Tensor>& bias, const c10::intrusive_ptr<PsgOptions>& options) {
  check(input, weight, mask, *options);
  const bool learns = at::GradMode::is_enabled() && weight.requires_grad();
  return PsgConv2d::apply(input, weight, mask, bias, options, learns);
}

}  // namespace peekaboo
