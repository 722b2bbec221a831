#include "quantize.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "levels.h"
#include "magnitude.h"
#include "parallel.h"

namespace peekaboo {
namespace {

void check(const at::Tensor& input, Role role, int64_t bits) {
  TORCH_CHECK(input.is_floating_point(), "quantize: input must hold floating-point numbers, received ",
              input.scalar_type());
  TORCH_CHECK(role == Role::kGradient || input.dim() > 0,
              "quantize: input of role activation or weight needs a first dimension, received a scalar");
  TORCH_CHECK(bits >= 1, "quantize: bits must be at least 1, received ", bits);
}

PEEKABOO_MULTIVERSION void quantizeRun(const float* input, float* output, int64_t count, Levels levels) {
  const float lo = levels.lo, step = levels.step, top = levels.top;
  constexpr float kInteger = 8388608.0f;  // 2^23: from here on every float is an integer
  for (int64_t i = 0; i < count; i++) {
    const float value = input[i];
    float level = (value - lo) / step;
    level = level < 0.0f ? 0.0f : level;
    level = level > top ? top : level;
    const float rounded = (level + kInteger) - kInteger;  // half to even
    level = level < kInteger ? rounded : level;
    const float result = level * step + lo;
    output[i] = value == 0.0f ? 0.0f : result;
  }
}

void quantizeRuns(const float* input, float* output, int64_t count, int64_t length, const std::vector<Levels>& levels) {
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t start = begin; start < end;) {
      const int64_t row = start / length;
      const int64_t stop = std::min(end, (row + 1) * length);
      const Levels& level = levels[row];
      if (level.step == 0.0f) {
        std::copy(input + start, input + stop, output + start);
      } else {
        quantizeRun(input + start, output + start, stop - start, level);
      }
      start = stop;
    }
  });
}

at::Tensor quantizeNative(const at::Tensor& input, Role role, int64_t bits, bool isSigned) {
  at::Tensor output = at::empty_like(input);
  const float* values = input.data_ptr<float>();
  const int64_t count = input.numel();
  const int64_t row = role == Role::kGradient ? count : count / input.size(0);
  const std::vector<float> scales =
      role == Role::kWeight ? maxMagnitudes(values, count, row) : std::vector<float>{scaleOf(input, role)};
  std::vector<Levels> levels;
  for (const float scale : scales) levels.emplace_back(scale, bits, isSigned);
  quantizeRuns(values, output.data_ptr<float>(), count, role == Role::kWeight ? row : count, levels);
  return output;
}

at::Tensor referenceScale(const at::Tensor& input, Role role) {
  const at::Tensor magnitude = input.abs();
  if (role == Role::kGradient) return magnitude.amax();
  const at::Tensor largest = magnitude.reshape({input.size(0), -1}).amax(1);
  if (role == Role::kActivation) return largest.mean();
  std::vector<int64_t> shape(input.dim(), 1);
  shape[0] = input.size(0);
  return largest.reshape(shape);
}

}  // namespace

Role parseRole(c10::string_view name) {
  if (name == "activation") return Role::kActivation;
  if (name == "weight") return Role::kWeight;
  TORCH_CHECK(name == "gradient", "quantize: role must be activation, weight or gradient, received ", name);
  return Role::kGradient;
}

float scaleOf(const at::Tensor& input, Role role) {
  const auto* values = input.data_ptr<float>();
  if (role == Role::kGradient) return maxMagnitude(values, input.numel());
  std::vector<float> scales = maxMagnitudes(values, input.numel(), input.numel() / input.size(0));
  return at::from_blob(scales.data(), {input.size(0)}, at::kFloat).mean().item<float>();
}

at::Tensor quantize(const at::Tensor& input, Role role, int64_t bits, bool isSigned) {
  check(input, role, bits);
  const bool rowsAreRuns = role == Role::kGradient ? isDenseFloatCpu(input) : isRowDenseFloatCpu(input);
  if (!rowsAreRuns || input.numel() == 0 || bits >= kIdentityBits) {
    return quantizeReference(input, role, bits, isSigned);
  }
  return quantizeNative(input, role, bits, isSigned);
}

at::Tensor quantizeReference(const at::Tensor& input, Role role, int64_t bits, bool isSigned) {
  check(input, role, bits);
  if (input.numel() == 0 || bits >= kIdentityBits) return input;
  const double levels = std::ldexp(1.0, static_cast<int>(bits));
  const at::Tensor scale = referenceScale(input, role);
  const at::Tensor lo = isSigned ? scale.neg() : at::zeros_like(scale);
  const at::Tensor step = (scale - lo) / levels;
  const at::Tensor level = ((input - lo) / step).clamp_(0.0, levels - 1.0).round_();
  return at::where((input == 0).logical_or_(step == 0), input, level * step + lo);
}

}  // namespace peekaboo
