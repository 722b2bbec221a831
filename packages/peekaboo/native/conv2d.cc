#include "conv2d.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "conv_products.h"
#include "fast_conv2d.h"

namespace peekaboo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// <x ∗ w, g> is linear in each of x, w and g. These are its gradients: of g (the convolution's output), x and w.
enum Wanted : int64_t { kOutput, kInput, kWeight };

// A gradient of <x ∗ w, g> from its two other tensors, (x, w), (g, w) or (g, x). Each one's backward consists of the
// other two, so any order of derivative is made of the same three products.
struct Convolution : torch::autograd::Function<Convolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first, const at::Tensor& second, Wanted wanted,
                            at::IntArrayRef sizes, const ConvGeometry& geometry) {
    context->save_for_backward({first, second});
    context->saved_data["wanted"] = static_cast<int64_t>(wanted);
    context->saved_data["stride"] = std::vector<int64_t>(geometry.stride.begin(), geometry.stride.end());
    context->saved_data["padding"] = std::vector<int64_t>(geometry.padding.begin(), geometry.padding.end());
    context->saved_data["dilation"] = std::vector<int64_t>(geometry.dilation.begin(), geometry.dilation.end());
    switch (wanted) {
      case kInput:
        return convInputGradient(first, second, sizes, geometry);
      case kWeight:
        return convWeightGradient(first, second, sizes, geometry);
      default:
        return convOutput(first, second, geometry);
    }
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &first = saved[0], &second = saved[1], &grad = grads[0];
    const auto pair = [&](const char* name) {
      const std::vector<int64_t> values = context->saved_data.at(name).toIntVector();
      return std::array<int64_t, 2>{values[0], values[1]};
    };
    const ConvGeometry geometry{pair("stride"), pair("padding"), pair("dilation")};
    const auto wanted = static_cast<Wanted>(context->saved_data.at("wanted").toInt());
    variable_list result(5);
    if (context->needs_input_grad(0)) {
      result[0] = wanted == kOutput  ? apply(grad, second, kInput, first.sizes(), geometry)
                  : wanted == kInput ? apply(grad, second, kOutput, first.sizes(), geometry)
                                     : apply(second, grad, kOutput, first.sizes(), geometry);
    }
    if (context->needs_input_grad(1)) {
      result[1] = wanted == kOutput  ? apply(grad, first, kWeight, second.sizes(), geometry)
                  : wanted == kInput ? apply(first, grad, kWeight, second.sizes(), geometry)
                                     : apply(first, grad, kInput, second.sizes(), geometry);
    }
    return result;
  }
};

bool isNative(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kDouble && tensor.layout() == at::kStrided &&
         tensor.dim() == 4 && tensor.numel() > 0;
}

// Whether the products above can do it; what is not a valid convolution is left to ATen to refuse.
bool isSupported(const at::Tensor& input, const at::Tensor& weight, const ConvGeometry& geometry, int64_t groups) {
  if (!isNative(input) || !isNative(weight) || groups != 1 || input.size(1) != weight.size(1)) return false;
  for (int axis = 0; axis < 2; axis++) {
    const int64_t reach = geometry.dilation[axis] * (weight.size(2 + axis) - 1);
    if (geometry.stride[axis] < 1 || geometry.dilation[axis] < 1 || geometry.padding[axis] < 0 ||
        input.size(2 + axis) + 2 * geometry.padding[axis] <= reach) {
      return false;
    }
  }
  return true;
}

}  // namespace

at::Tensor conv2d(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                  at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups,
                  bool fast) {
  const ConvGeometry geometry{{stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}};
  if (!isSupported(input, weight, geometry, groups)) {
    if (fast) {
      auto options = c10::make_intrusive<ConvOptions>();
      options->stride = stride.vec();
      options->padding = padding.vec();
      options->dilation = dilation.vec();
      options->groups = groups;
      options->fast = true;
      if (isFast(input, weight, *options)) return fastConv2d(input, weight, bias, options);
    }
    return at::conv2d(input, weight, bias, stride, padding, dilation, groups);
  }
  const at::Tensor output = Convolution::apply(input, weight, kOutput, at::IntArrayRef(), geometry);
  return bias.has_value() && bias->defined() ? output + bias->reshape({1, -1, 1, 1}) : output;
}

}  // namespace peekaboo
