export { inTurn } from "./in-turn.js";
export * as init from "./init.js";
export {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  conv2dShape,
  Dropout,
  Flatten,
  GELU,
  GroupNorm,
  Linear,
  MaxPool2d,
  type NormKernel,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  type Size2d,
} from "./layers.js";
export { Module, outputsAreWatched, refuseDifference, type StateDifference, watchOutputs } from "./module.js";
