/** Peek-a-Boo's own operators that get a typed wrapper: the function's name → the operator's. */
export const PAB_OPERATORS: Readonly<Record<string, string>> = {
  quantize: "peekaboo::quantize",
  quantizeReference: "peekaboo::quantize_reference",
  psgConv2d: "peekaboo::psg_conv2d",
  psgConv2dReference: "peekaboo::psg_conv2d_reference",
  conv2d: "peekaboo::conv2d",
  batchNormAct: "peekaboo::batch_norm_act",
  batchNormActReference: "peekaboo::batch_norm_act_reference",
  chosenKernels: "peekaboo::chosen_kernels",
  reuseMemory: "peekaboo::reuse_memory",
  limitMemory: "peekaboo::limit_memory",
  bopStep_: "peekaboo::bop_step_",
  bopStepReference_: "peekaboo::bop_step_reference_",
  bop2Step_: "peekaboo::bop2_step_",
  bop2StepReference_: "peekaboo::bop2_step_reference_",
  allFinite: "peekaboo::all_finite",
  allFiniteReference: "peekaboo::all_finite_reference",
  augment: "peekaboo::augment",
  augmentReference: "peekaboo::augment_reference",
  kthSmallest: "peekaboo::kth_smallest",
  kthSaliency: "peekaboo::kth_saliency",
  keepAbove: "peekaboo::keep_above",
  scoreMagnitude_: "peekaboo::score_magnitude_",
  zeroCut_: "peekaboo::zero_cut_",
  zeroBelow_: "peekaboo::zero_below_",
  flowScan: "peekaboo::flow_scan",
  zeroFound_: "peekaboo::zero_found_",
};

/** The imports of src/generated/ops.ts. */
export const PAB_HEADER = `import { type Handle, handleOf, Operator, Tensor } from "@peekaboo/torch";
`;
