// The operator library: loaded like any PyTorch extension, its operators are `peekaboo::…` of the dispatcher.
// `NAME_reference` is NAME composed of ATen operations, for tests.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/library.h>

#include <string>
#include <tuple>

#include "augment.h"
#include "batch_norm.h"
#include "bop.h"
#include "bop2.h"
#include "conv2d.h"
#include "finite.h"
#include "flow.h"
#include "flow_scan.h"
#include "gemm.h"
#include "integer_tile.h"
#include "memory.h"
#include "memory_limit.h"
#include "psg_conv2d.h"
#include "quantize.h"
#include "scan.h"
#include "threshold.h"
#include "winograd_kernels.h"

namespace peekaboo {
namespace {

template <bool native>
at::Tensor quantizeOp(const at::Tensor& input, c10::string_view role, int64_t bits, bool isSigned) {
  const at::NoGradGuard noGrad;
  const at::Tensor result = (native ? quantize : quantizeReference)(input, parseRole(role), bits, isSigned);
  return result.is_same(input) ? input.detach().clone() : result;  // an operator's result must not alias its argument
}

template <bool native>
at::Tensor psgConv2dOp(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& mask,
                       const c10::optional<at::Tensor>& bias, at::IntArrayRef stride, at::IntArrayRef padding,
                       at::IntArrayRef dilation, int64_t groups, bool inputSigned, int64_t msbBits, int64_t msbBitsGrad,
                       double threshold, bool relative, bool sparsify, bool takeSign, bool predictive, bool fast) {
  auto options = c10::make_intrusive<PsgOptions>();
  options->stride = stride.vec();
  options->padding = padding.vec();
  options->dilation = dilation.vec();
  options->groups = groups;
  options->fast = native && fast;
  options->inputSigned = inputSigned;
  options->msbBits = msbBits;
  options->msbBitsGrad = msbBitsGrad;
  options->selection = {threshold, relative, sparsify, takeSign};
  options->predictive = predictive;
  options->native = native;
  return psgConv2d(input, weight, mask, bias, options);
}

// The instructions that each kind of kernel uses: fast convolutions, integers ("none" where they are floats), the
// scans of scores, and products of doubles.
std::tuple<std::string, std::string, std::string, std::string> chosenKernels() {
  const TileKernel* integers = bestTileKernel();
  return {winograd::kernelsFor(4).name, integers ? integers->name : "none", scanName(), multiplyName()};
}

constexpr auto kPsgArguments =
    "(Tensor input, Tensor weight, Tensor mask, Tensor? bias=None, *, int[2] stride=1, int[2] padding=0, "
    "int[2] dilation=1, int groups=1, bool input_signed=False, int msb_bits=4, int msb_bits_grad=8, "
    "float threshold=0., bool relative=True, bool sparsify=False, bool take_sign=True, bool predictive=True, "
    "bool fast=False) -> Tensor";
constexpr auto kConvArguments =
    "(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, "
    "int groups=1, *, bool fast=False) -> Tensor";
constexpr auto kQuantizeArguments = "(Tensor input, str role, *, int bits, bool signed) -> Tensor";
constexpr auto kBopArguments =
    "(Tensor(a!) weight, Tensor(b!) momentum, Tensor grad, Tensor(c!)? flips, *, float ar, float tau, "
    "bool first, Tensor? go=None) -> Tensor";
constexpr auto kBop2Arguments =
    "(Tensor(a!) weight, Tensor(b!) momentum, Tensor(c!) variance, Tensor(d!) correction, Tensor grad, "
    "Tensor(e!)? flips, *, float ar, float sigma, float tau, float eps, bool bias_correction, Tensor? go=None) -> "
    "Tensor";
constexpr auto kBatchNormActArguments =
    "(Tensor input, Tensor weight, Tensor bias, Tensor(a!) running_mean, Tensor(b!) running_var, "
    "Tensor? residual, *, float momentum, float eps, bool relu) -> Tensor";
constexpr auto kFiniteArguments = "(Tensor[] tensors) -> Tensor";
constexpr auto kAugmentArguments =
    "(Tensor images, Tensor index, *, Tensor? dy=None, Tensor? dx=None, Tensor? flip=None, int padding=0, "
    "float[] mean, float[] std, bool channels_last=False) -> Tensor";

}  // namespace

TORCH_LIBRARY(peekaboo, m) {
  const auto define = [&m](const char* name, const char* arguments) { m.def((std::string(name) + arguments).c_str()); };
  define("quantize", kQuantizeArguments);
  define("quantize_reference", kQuantizeArguments);
  define("psg_conv2d", kPsgArguments);
  define("psg_conv2d_reference", kPsgArguments);
  define("conv2d", kConvArguments);
  define("batch_norm_act", kBatchNormActArguments);
  define("batch_norm_act_reference", kBatchNormActArguments);
  define("bop_step_", kBopArguments);
  define("bop_step_reference_", kBopArguments);
  define("bop2_step_", kBop2Arguments);
  define("bop2_step_reference_", kBop2Arguments);
  define("all_finite", kFiniteArguments);
  define("all_finite_reference", kFiniteArguments);
  define("augment", kAugmentArguments);
  define("augment_reference", kAugmentArguments);
  m.def("kth_smallest(Tensor[] scores, int k) -> float");
  m.def("kth_saliency(Tensor[] gradients, Tensor[] weights, int k) -> float");
  m.def("keep_above(Tensor score, float threshold) -> (Tensor, int, int)");
  m.def("score_magnitude_(Tensor(a!) gradient, Tensor weight) -> ()");
  m.def("zero_cut_(Tensor(a!) weight, Tensor mask) -> ()");
  m.def("zero_below_(Tensor(a!) weight, Tensor gradient, float threshold) -> ()");
  m.def(
      "flow_scan(Tensor gradient, Tensor input, Tensor weight, *, int[2] stride=1, int[2] padding=0, "
      "int[2] dilation=1, float bound, int every=1) -> (Tensor, Tensor, int, bool)");
  m.def("zero_found_(Tensor(a!) weight, Tensor scores, Tensor positions, float threshold) -> (int, int)");
  m.def("chosen_kernels() -> (str, str, str, str)", chosenKernels);
  m.def("reuse_memory(bool on) -> ()", reuseMemory);
  m.def("limit_memory(int limit, *, str usage, str stat, int processes) -> ()", limitMemory);
}

// Reached only where no argument lies on another device. What isn't laid out as they need it, they leave to the others.
TORCH_LIBRARY_IMPL(peekaboo, CPU, m) {
  m.impl("quantize", quantizeOp<true>);
  m.impl("bop_step_", bopStep);
  m.impl("bop2_step_", bop2Step);
  m.impl("all_finite", allFinite);
  m.impl("augment", augment);
  m.impl("kth_smallest", kthSmallest);
  m.impl("kth_saliency", kthSaliency);
  m.impl("keep_above", keepAbove);
  m.impl("score_magnitude_", scoreMagnitude_);
  m.impl("zero_cut_", zeroCut_);
  m.impl("zero_below_", zeroBelow_);
  m.impl("flow_scan", flowScan);
  m.impl("zero_found_", zeroFound_);
}

TORCH_LIBRARY_IMPL(peekaboo, CompositeExplicitAutograd, m) {
  for (const char* name : {"quantize", "quantize_reference"}) m.impl(name, quantizeOp<false>);
  for (const char* name : {"bop_step_", "bop_step_reference_"}) m.impl(name, bopStepReference);
  for (const char* name : {"bop2_step_", "bop2_step_reference_"}) m.impl(name, bop2StepReference);
  for (const char* name : {"all_finite", "all_finite_reference"}) m.impl(name, allFiniteReference);
  for (const char* name : {"augment", "augment_reference"}) m.impl(name, augmentReference);
  m.impl("kth_smallest", kthSmallestReference);
  m.impl("kth_saliency", kthSaliencyReference);
  m.impl("keep_above", keepAboveReference);
  m.impl("score_magnitude_", scoreMagnitudeReference_);
  m.impl("zero_cut_", zeroCutReference_);
  m.impl("zero_below_", zeroBelowReference_);
}

// Their own autograd functions decide what is recorded.
TORCH_LIBRARY_IMPL(peekaboo, CompositeImplicitAutograd, m) {
  m.impl("psg_conv2d", psgConv2dOp<true>);
  m.impl("psg_conv2d_reference", psgConv2dOp<false>);
  m.impl("conv2d", conv2d);
  m.impl("batch_norm_act", batchNormAct);
  m.impl("batch_norm_act_reference", batchNormActReference);
}

}  // namespace peekaboo
