#include "conv2d.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "conv_products.h"

namespace peekaboo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void save(AutogradContext* context, const at::Tensor& first, const at::Tensor& second, const ConvGeometry& geometry) {
  context->save_for_backward({first, second});
  context->saved_data["geometry"] =
      std::vector<int64_t>{geometry.stride[0],  geometry.stride[1],   geometry.padding[0],
                           geometry.padding[1], geometry.dilation[0], geometry.dilation[1]};
}

ConvGeometry saved_geometry(const AutogradContext* context) {
  const std::vector<int64_t> g = context->saved_data.at("geometry").toIntVector();
  return {{g[0], g[1]}, {g[2], g[3]}, {g[4], g[5]}};
}

// <y(x, w), g> is linear in each of x, w and g. Each of its three gradients is a function below, and each one's
// backward calls the other two: so any order of derivative is made of the same three products.

template <class Derived>
struct ConvFunction : torch::autograd::Function<Derived> {
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const ConvGeometry geometry = saved_geometry(context);
    const auto wanted = [&](size_t i) { return context->needs_input_grad(i); };
    return {wanted(0) ? Derived::first_gradient(grads[0], saved[0], saved[1], geometry) : at::Tensor(),
            wanted(1) ? Derived::second_gradient(grads[0], saved[0], saved[1], geometry) : at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

at::Tensor differentiable_output(const at::Tensor& x, const at::Tensor& w, const ConvGeometry& geometry);
at::Tensor differentiable_input_gradient(const at::Tensor& g, const at::Tensor& w, at::IntArrayRef x_sizes,
                                         const ConvGeometry& geometry);
at::Tensor differentiable_weight_gradient(const at::Tensor& g, const at::Tensor& x, at::IntArrayRef w_sizes,
                                          const ConvGeometry& geometry);

struct Output : ConvFunction<Output> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w, const ConvGeometry& geometry, bool) {
    save(context, x, w, geometry);
    return conv_output(x, w, geometry);
  }
};
}  // namespace
}  // namespace peekaboo
