export { Adam, type AdamOptions } from "./adam.js";
export { Optimizer, type OptimizerState } from "./optimizer.js";
export {
  constant,
  cosine,
  exponential,
  linear,
  multiStep,
  type Schedule,
  type Scheduled,
  Scheduler,
  stepwise,
  warmup,
} from "./schedule.js";
export { SGD, type SgdOptions } from "./sgd.js";
