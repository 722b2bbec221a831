export * as init from "./init.js";
export {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "./layers.js";
export { Module, refuseDifference, type StateDifference, watchOutputs } from "./module.js";
