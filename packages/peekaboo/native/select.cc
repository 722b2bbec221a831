#include "select.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "magnitude.h"
#include "parallel.h"

namespace peekaboo {
namespace {

PEEKABOO_MULTIVERSION int64_t countBelow(const float* values, int64_t count, float threshold) {
  int64_t below = 0;
  for (int64_t i = 0; i < count; i++) below += std::fabs(values[i]) < threshold ? 1 : 0;
  return below;
}

PEEKABOO_MULTIVERSION void selectRun(const float* predicted, const float* full, const float* mask, float* output,
                                     int64_t count, float threshold, bool takeSign) {
  for (int64_t i = 0; i < count; i++) {
    const float other = full ? full[i] : 0.0f;
    float value = std::fabs(predicted[i]) < threshold ? other : predicted[i];
    if (takeSign) {
      value = value > 0.0f ? 1.0f : value < 0.0f ? -1.0f : value;  // of NaN it is NaN
    }
    output[i] = mask[i] * value;
  }
}

// `tensor` in `like`'s dtype and memory order, copied only if need be.
at::Tensor arranged(const at::Tensor& tensor, const at::Tensor& like) {
  if (tensor.strides() == like.strides() && tensor.scalar_type() == like.scalar_type()) return tensor;
  return at::empty_like(like).copy_(tensor);
}

}  // namespace

at::Tensor selectGradient(const at::Tensor& predicted, const std::function<at::Tensor()>& full, const at::Tensor& mask,
                          const Selection& selection) {
  const at::Tensor factor = mask.to(predicted.scalar_type());
  if (!isDenseFloatCpu(predicted) || !isDenseFloatCpu(factor)) {
    return selectGradientReference(predicted, full, mask, selection);
  }
  const at::Tensor main = arranged(predicted, factor);
  const int64_t count = main.numel();
  const float* values = main.data_ptr<float>();
  auto threshold = static_cast<float>(selection.threshold);
  if (selection.relative) threshold *= maxMagnitude(values, count);
  at::Tensor other;
  if (!selection.sparsify && threshold > 0.0f && countBelow(values, count, threshold) > 0) {
    other = arranged(full(), factor);
  }
  at::Tensor output = at::empty_like(main);
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    selectRun(values + begin, other.defined() ? other.data_ptr<float>() + begin : nullptr,
              factor.data_ptr<float>() + begin, output.data_ptr<float>() + begin, end - begin, threshold,
              selection.takeSign);
  });
  return output;
}

at::Tensor selectGradientReference(const at::Tensor& predicted, const std::function<at::Tensor()>& full,
                                   const at::Tensor& mask, const Selection& selection) {
  at::Tensor gradient = predicted;
  if (selection.threshold > 0.0 && predicted.numel() > 0) {
    const at::Tensor magnitude = predicted.abs();
    const at::Tensor small =
        selection.relative ? magnitude < magnitude.amax() * selection.threshold : magnitude < selection.threshold;
    if (selection.sparsify) {
      gradient = predicted.masked_fill(small, 0.0);
    } else if (!small.is_cpu() || small.any().item<bool>()) {
      // To ask another device whether there is a small one would make the CPU wait for it.
      gradient = at::where(small, full(), predicted);
    }
  }
  if (selection.takeSign) gradient = at::where(gradient.isnan(), gradient, gradient.sign());
  return gradient * mask;
}

}  // namespace peekaboo
