#include "convolution.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/ops/convolution_backward_native.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>
#include <c10/util/ArrayRef.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <exception>
#include <tuple>

#include "denormals.h"
#include "onednn_reorder.h"

namespace torchjs {
namespace {

constexpr int64_t kLargestBlock = 16;

// With channels last, oneDNN's weight gradient of a strided 1×1 convolution writes past its workspace when the input
// has fewer channels than a block (uxlfoundation/oneDNN#6035): wrong numbers, no end or a crash, seen with the AVX2
// kernels of Debian 12's 2.6.3 and of libtorch 2.13's, and with the AVX-512 ones of Debian 13's 3.7.2. With the plain
// layout it doesn't.
bool overruns(const at::Tensor& input, const at::Tensor& weight, at::IntArrayRef stride) {
  return input.dim() == 4 && weight.dim() == 4 && weight.size(2) == 1 && weight.size(3) == 1 &&
         input.size(1) < kLargestBlock &&
         std::any_of(stride.begin(), stride.end(), [](int64_t step) { return step > 1; });
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolutionBackward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, at::OptionalIntArrayRef biasSizes,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef outputPadding, int64_t groups, std::array<bool, 3> mask) {
  const bool plain = overruns(input, weight, stride);
  return at::native::convolution_backward(gradient, plain ? input.contiguous() : input,
                                          plain ? weight.contiguous() : weight, biasSizes, stride, padding, dilation,
                                          transposed, outputPadding, groups, mask);
}

// Whether a convolution of small integers, which any order of summation computes exactly, equals that in double
// precision, which isn't oneDNN's.
bool isExact(int64_t inputs, int64_t outputs, int64_t kernel, int64_t stride, int64_t groups, at::MemoryFormat layout) {
  const auto input = at::arange(inputs * 64, at::kFloat).remainder(7).view({1, inputs, 8, 8}).contiguous(layout);
  const auto weight = at::arange(outputs * inputs / groups * kernel * kernel, at::kFloat)
                          .remainder(5)
                          .add(1)
                          .view({outputs, inputs / groups, kernel, kernel});
  const auto product = [&](at::ScalarType type) {
    return at::convolution(input.to(type), weight.to(type), {}, {stride, stride}, {kernel / 2, kernel / 2}, {1, 1},
                           /*transposed=*/false, {0, 0}, groups);
  };
  return at::equal(product(at::kFloat).to(at::kDouble), product(at::kDouble));
}

bool areExact() {
  const FlushDenormals flush;  // The threads that begin here stay.
  return isExact(24, 6, 3, 1, 1, at::MemoryFormat::Contiguous) &&
         isExact(8, 128, 5, 2, 8, at::MemoryFormat::ChannelsLast);
}

// NNPACK stands behind oneDNN in libtorch's choice, which asks for it nevertheless: on a processor that it doesn't know
// it then complains on stderr. Older releases have no such switch, and say nothing.
template <typename Context>
auto leaveOutNnpack(Context& context, int) -> decltype(context.setUserEnabledNNPACK(false)) {
  context.setUserEnabledNNPACK(false);
}
template <typename Context>
void leaveOutNnpack(Context&, ...) {}

bool mend() {
  leaveOutNnpack(at::globalContext(), 0);
  // It stays for as long as this object lives.
  static torch::Library library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
  library.impl("convolution_backward", convolutionBackward);
  if (reordersWrongly()) reorderOurselves();
  try {
    if (areExact()) return true;
    reorderOurselves();
    if (areExact()) return true;
  } catch (const std::exception&) {
    return true;  // No memory for it, say: whoever computes next hears of that.
  }
  at::globalContext().setUserEnabledMkldnn(false);
  return false;
}

}  // namespace

bool mendConvolutions() {
  static const bool mended = mend();
  return mended;
}

}  // namespace torchjs
