#include "integer_gradient.h"

#include <ATen/ATen.h>
#include <c10/core/MemoryFormat.h>

#include <array>
#include <cmath>

#include "integer_product.h"
#include "quantize.h"

namespace peekaboo {
namespace {

// With fewer channels or images, most of a vector is filled up with zeros; with fewer products of each number, packing
// it costs more than they do.
bool isWorthPacking(const GradientShape& shape) {
  const int64_t products = shape.outputs * shape.channels * shape.kernel[0] * shape.kernel[1];
  return shape.channels >= 16 && shape.images >= 3 && products >= 10 * (shape.outputs + shape.channels);
}

bool isFloatImages(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided &&
         tensor.dim() == 4 && tensor.numel() > 0;
}

GradientShape shapeOf(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& weight,
                      const PsgOptions& options) {
  const auto pair = [](const std::vector<int64_t>& values) { return std::array<int64_t, 2>{values[0], values[1]}; };
  return {input.size(0),
          input.size(1),
          weight.size(0),
          {input.size(2), input.size(3)},
          {grad.size(2), grad.size(3)},
          {weight.size(2), weight.size(3)},
          pair(options.stride),
          pair(options.padding),
          pair(options.dilation)};
}

// Null where the levels don't lie exactly at multiples of the step: all values are zero, tiny, or not all finite.
c10::optional<Rounded> rounded(const at::Tensor& values, Role role, int64_t bits, bool isSigned) {
  const Levels levels(scaleOf(values, role), bits, isSigned);
  if (!std::isnormal(levels.step)) return c10::nullopt;
  return Rounded{values.data_ptr<float>(), levels, isSigned ? int32_t{1} << (bits - 1) : 0};
}

}  // namespace

c10::optional<at::Tensor> integerWeightGradient(const at::Tensor& grad, const at::Tensor& input,
                                                const at::Tensor& weight, const PsgOptions& options) {
  const TileKernel* kernel = bestTileKernel();
  if (!kernel || options.groups != 1 || options.msbBits > 8 || options.msbBitsGrad > 16 || !isFloatImages(grad) ||
      !isFloatImages(input) || !isFloatImages(weight)) {
    return c10::nullopt;
  }
  const GradientShape shape = shapeOf(grad, input, weight, options);
  if (!IntegerProduct::isSupported(shape) || !isWorthPacking(shape)) return c10::nullopt;

  const at::Tensor g = grad.contiguous(at::MemoryFormat::ChannelsLast);
  const auto gRounded = rounded(g, Role::kGradient, options.msbBitsGrad, true);
  if (!gRounded) return c10::nullopt;
  const at::Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
  const auto xRounded = rounded(x, Role::kActivation, options.msbBits, options.inputSigned);
  if (!xRounded) return c10::nullopt;

  const IntegerProduct product(shape, *kernel, options.msbBits, options.msbBitsGrad);
  const at::Tensor scratch = at::empty({product.scratchBytes()}, weight.options().dtype(at::kByte));
  const bool channelsLast = weight.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const at::Tensor result = at::empty(weight.sizes(), weight.options(),
                                      channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const int64_t taps = shape.kernel[0] * shape.kernel[1];
  product.compute(
      *xRounded, *gRounded, scratch.data_ptr<uint8_t>(),
      {result.data_ptr<float>(), shape.channels * taps, channelsLast ? 1 : taps, channelsLast ? shape.channels : 1});
  return result;
}

}  // namespace peekaboo
