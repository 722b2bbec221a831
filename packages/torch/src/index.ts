export { UserError, type UserErrorParts } from "@peekaboo/files/errors";
export { type GradOptions, grad, noGrad } from "./autograd.js";
export * as distributed from "./distributed/index.js";
export type { Dtype, TypedArray } from "./dtype.js";
export { DistributedError, TorchError, type TorchErrorKind } from "./errors.js";
export * as ops from "./generated/ops.js";
export type { MemoryFormat } from "./memory-format.js";
export { type CallWatch, type Handle, Operator, shapeOfHandle, watchCalls } from "./native.js";
export * as nn from "./nn/index.js";
export * as optim from "./optim/index.js";
export {
  buildInformation,
  checkDevice,
  devices,
  flushesDenormals,
  getThreads,
  loadLibrary,
  manualSeed,
  setDeterministic,
  setThreads,
  torchVersion,
  useDevice,
} from "./runtime.js";
export { descriptionOf, entryOf, piecesOf, tensorOf } from "./safetensors-tensors.js";
export { keep, liveTensorCount, scope } from "./scope.js";
export {
  full,
  handleOf,
  type NestedNumbers,
  type Operand,
  ones,
  Tensor,
  type TensorOptions,
  tensorOrNull,
  zeros,
} from "./tensor.js";
