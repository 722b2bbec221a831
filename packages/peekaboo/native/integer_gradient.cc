#include "integer_gradient.h"

#include <ATen/ATen.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/Exception.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "integer_product.h"
#include "integer_tile.h"
#include "levels.h"
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

// How the product of these shapes is computed in integers; nothing where it can't be, or floats are faster.
c10::optional<IntegerProduct> productOf(at::IntArrayRef input, at::IntArrayRef output, const at::Tensor& weight,
                                        const PsgOptions& options) {
  const TileKernel* kernel = bestTileKernel();
  if (!kernel || options.groups != 1 || options.msbBits > 8 || options.msbBitsGrad > 16 || !isFloatImages(weight)) {
    return c10::nullopt;
  }
  const auto pair = [](const std::vector<int64_t>& values) { return std::array<int64_t, 2>{values[0], values[1]}; };
  const GradientShape shape{input[0],
                            input[1],
                            weight.size(0),
                            {input[2], input[3]},
                            {output[2], output[3]},
                            {weight.size(2), weight.size(3)},
                            pair(options.stride),
                            pair(options.padding),
                            pair(options.dilation)};
  if (!IntegerProduct::isSupported(shape) || !isWorthPacking(shape)) return c10::nullopt;
  return IntegerProduct(shape, *kernel, options.msbBits, options.msbBitsGrad);
}

// Whether numbers lie exactly at multiples of the step: not where all values are zero, tiny, or not all finite.
bool areExact(const Levels& levels) { return std::isnormal(levels.step); }

int32_t zeroOf(int64_t bits, bool isSigned) { return isSigned ? int32_t{1} << (bits - 1) : 0; }

PackedLevels levelsOf(const PackedInput& input, const PsgOptions& options) {
  return {input.bytes.data_ptr<uint8_t>(), Levels(input.scale, options.msbBits, options.inputSigned),
          zeroOf(options.msbBits, options.inputSigned)};
}

}  // namespace

c10::optional<PackedInput> packInput(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef outputSizes,
                                     const PsgOptions& options) {
  if (!isFloatImages(input)) return c10::nullopt;
  const auto product = productOf(input.sizes(), outputSizes, weight, options);
  if (!product) return c10::nullopt;
  const at::Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
  const float scale = scaleOf(x, Role::kActivation);
  const Levels levels(scale, options.msbBits, options.inputSigned);
  if (!areExact(levels)) return c10::nullopt;
  const at::Tensor bytes = at::empty({product->inputBytes()}, input.options().dtype(at::kByte));
  product->packInput({x.data_ptr<float>(), levels, zeroOf(options.msbBits, options.inputSigned)},
                     bytes.data_ptr<uint8_t>());
  return PackedInput{bytes, scale, input.sizes().vec(), input.strides().vec()};
}

c10::optional<at::Tensor> integerWeightGradient(const at::Tensor& grad, const PackedInput& input,
                                                const at::Tensor& weight, const PsgOptions& options) {
  if (!isFloatImages(grad)) return c10::nullopt;
  const auto product = productOf(input.sizes, grad.sizes(), weight, options);
  if (!product) return c10::nullopt;
  const at::Tensor g = grad.contiguous(at::MemoryFormat::ChannelsLast);
  const Levels levels(scaleOf(g, Role::kGradient), options.msbBitsGrad, true);
  if (!areExact(levels)) return c10::nullopt;

  const at::Tensor scratch = at::empty({product->scratchBytes()}, weight.options().dtype(at::kByte));
  const bool channelsLast = weight.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const at::Tensor result = at::empty(weight.sizes(), weight.options(),
                                      channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const int64_t channels = weight.size(1), taps = weight.size(2) * weight.size(3);
  product->compute(levelsOf(input, options), {g.data_ptr<float>(), levels, zeroOf(options.msbBitsGrad, true)},
                   scratch.data_ptr<uint8_t>(),
                   {result.data_ptr<float>(), channels * taps, channelsLast ? 1 : taps, channelsLast ? channels : 1});
  return result;
}

at::Tensor unpackedInput(const PackedInput& input, const at::Tensor& weight, at::IntArrayRef outputSizes,
                         const PsgOptions& options) {
  const auto product = productOf(input.sizes, outputSizes, weight, options);
  TORCH_INTERNAL_ASSERT(product.has_value());
  const at::Tensor values = at::empty(input.sizes, weight.options(), at::MemoryFormat::ChannelsLast);
  product->unpackInput(levelsOf(input, options), values.data_ptr<float>());
  if (values.strides() == at::IntArrayRef(input.strides)) return values;
  return at::empty_strided(input.sizes, input.strides, weight.options()).copy_(values);
}

}  // namespace peekaboo
