export { type LoadedNetwork, loadNetwork } from "./checkpoint/checkpoint.js";
export { type InspectReport, inspectFile } from "./checkpoint/inspect.js";
export { runTrain } from "./commands/train.js";
export {
  type Bop2Config,
  type BopConfig,
  type PruningConfig,
  type PsgConfig,
  parseConfig,
  type SgdConfig,
  type TrainConfig,
} from "./config/config.js";
export { type Dataset, openDataset, type Split } from "./data/dataset.js";
export { INIT_METHODS, type InitMethod, initialiseWeight } from "./init/weights.js";
export { Network, type NetworkOptions } from "./models/network.js";
export { architectureNames } from "./models/registry.js";
export { Bop, type BopOptions } from "./optim/bop.js";
export { Bop2, type Bop2Options } from "./optim/bop2.js";
export { SignOptimizer, type SignOptions } from "./optim/sign-optimizer.js";
export { type PruneOptions, type PruneReport, prune } from "./pruning/loop.js";
export type { Pruner, ScoreContext } from "./pruning/pruner.js";
export { findPruner, prunerNames } from "./pruning/pruners/registry.js";
export { shuffledMask } from "./pruning/shuffle.js";
export { Trainer } from "./training/trainer.js";
