export { Adam, type AdamOptions } from "./adam.js";
export { Optimizer, type OptimizerState } from "./optimizer.js";
export { type PlateauOptions, type PlateauState, ReduceOnPlateau } from "./plateau.js";
export {
  constant,
  cosine,
  exponential,
  linear,
  multiStep,
  type OneCycleOptions,
  oneCycle,
  type Schedule,
  type Scheduled,
  Scheduler,
  stepwise,
  warmup,
} from "./schedule.js";
export { SGD, type SgdOptions } from "./sgd.js";
