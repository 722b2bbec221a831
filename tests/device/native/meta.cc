// Shapes on the meta device of the operators for which libtorch's C++ has none (its Python has them): convolution,
// batch normalisation and their gradients; in 1.13 also some that work element by element.

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <torch/library.h>
#include <torch/version.h>

#include <array>
#include <tuple>
#include <vector>

namespace {

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

at::Tensor maybe_like(bool wanted, const at::Tensor& like) { return wanted ? at::empty_like(like) : at::Tensor(); }

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>&,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef, int64_t groups) {
  TORCH_CHECK(!transposed && input.dim() == weight.dim() && input.size(1) == weight.size(1) * groups,
              "meta convolution: input ", input.sizes(), " doesn't fit weight ", weight.sizes());
  std::vector<int64_t> sizes{input.size(0), weight.size(0)};
  for (int64_t i = 2; i < input.dim(); i++) {
    const int64_t reach = dilation[i - 2] * (weight.size(i) - 1) + 1;
    sizes.push_back((input.size(i) + 2 * padding[i - 2] - reach) / stride[i - 2] + 1);
    TORCH_CHECK(sizes.back() > 0, "meta convolution: nothing is left of input ", input.sizes());
  }
  return at::empty(sizes, input.options(), input.suggest_memory_format());
}

Three convolution_backward(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                           at::OptionalIntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, bool,
                           at::IntArrayRef, int64_t, std::array<bool, 3> mask) {
  TORCH_CHECK(grad.size(0) == input.size(0) && grad.size(1) == weight.size(0), "meta convolution_backward: gradient ",
              grad.sizes(), " of another output");
  return {maybe_like(mask[0], input), maybe_like(mask[1], weight),
          mask[2] ? at::empty({weight.size(0)}, grad.options()) : at::Tensor()};
}

Three batch_norm(const at::Tensor& input, const c10::optional<at::Tensor>& weight, const c10::optional<at::Tensor>&,
                 const c10::optional<at::Tensor>&, const c10::optional<at::Tensor>&, bool training, double, double) {
  const std::vector<int64_t> channels{training ? input.size(1) : 0};
  TORCH_CHECK(!weight.has_value() || weight->numel() == input.size(1), "meta batch_norm: weight of another input");
  return {at::empty_like(input), at::empty(channels, input.options()), at::empty(channels, input.options())};
}

Three batch_norm_backward(const at::Tensor& grad, const at::Tensor& input, const c10::optional<at::Tensor>&,
                          const c10::optional<at::Tensor>&, const c10::optional<at::Tensor>&,
                          const c10::optional<at::Tensor>&, const c10::optional<at::Tensor>&, bool, double,
                          std::array<bool, 3> mask) {
  TORCH_CHECK(grad.sizes() == input.sizes(), "meta batch_norm_backward: gradient ", grad.sizes(), " of another output");
  const auto channels = [&](bool wanted) {
    return wanted ? at::empty({input.size(1)}, input.options()) : at::Tensor();
  };
  return {maybe_like(mask[0], input), channels(mask[1]), channels(mask[2])};
}

at::Tensor& absolute(const at::Tensor& self, at::Tensor& out) { return out.resize_(self.sizes()), out; }

at::Tensor& either(const at::Tensor& self, const at::Tensor& other, at::Tensor& out) {
  return out.resize_(at::infer_size(self.sizes(), other.sizes())), out;
}

at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
  const auto sizes = at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
  return at::empty(sizes, self.options().dtype(at::result_type(self, other)));
}

at::Tensor is_nan(const at::Tensor& self) { return at::empty_like(self, at::kBool); }

std::tuple<at::Tensor, at::Tensor> kth_value(const at::Tensor& self, int64_t k, int64_t dim, bool keepdim) {
  TORCH_CHECK(k >= 1 && k <= self.size(dim), "meta kthvalue: no place ", k);
  const at::Tensor values = self.select(dim, 0);
  const at::Tensor kept = at::empty_like(keepdim ? values.unsqueeze(dim) : values);
  return {kept, at::empty_like(kept, at::kLong)};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, m) {
  m.impl("convolution", convolution);
  m.impl("convolution_backward", convolution_backward);
  m.impl("native_batch_norm", batch_norm);
  m.impl("native_batch_norm_backward", batch_norm_backward);
  m.impl("abs.out", absolute);
  m.impl("where.self", where);
  m.impl("isnan", is_nan);
  m.impl("kthvalue", kth_value);
  for (const char* name : {"logical_or.out", "logical_and.out"}) m.impl(name, either);
}

#if TORCH_VERSION_MAJOR < 2
// Operators without gradients of their own, as ours, find no way past the meta device's autograd there.
TORCH_LIBRARY_IMPL(_, AutogradMeta, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
#endif
